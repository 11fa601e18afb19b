/*
 * Purpose: the forms of operator new and delete: libstdc++'s call malloc, aligned_alloc and free,
 *          which are the drop-in's. [preload.req.family]
 * Owner:   tests of the drop-in; run by contract_test.
 */
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <new>
#include <string>
#include <thread>
#include <vector>

#define CHECK(condition)                                                         \
    do {                                                                         \
        if (!(condition)) {                                                      \
            std::fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition); \
            std::exit(1);                                                        \
        }                                                                        \
    } while (0)

namespace
{

struct alignas(256) Wide {
    char bytes[300];
};

bool is_aligned(const void *block, std::size_t align)
{
    return reinterpret_cast<std::uintptr_t>(block) % align == 0;
}

void plain_array_and_sized_forms()
{
    for (std::size_t size = 1; size < 100000; size = size * 2 + 1) {
        void *block = ::operator new(size);
        CHECK(block != nullptr);
        ::operator delete(block);
        block = ::operator new(size);
        ::operator delete(block, size);
        block = ::operator new[](size);
        ::operator delete[](block);
        block = ::operator new[](size);
        ::operator delete[](block, size);
    }
}

void nothrow_forms()
{
    void *block = ::operator new(100, std::nothrow);
    CHECK(block != nullptr);
    ::operator delete(block, std::nothrow);
    block = ::operator new[](100, std::nothrow);
    CHECK(block != nullptr);
    ::operator delete[](block, std::nothrow);
    std::size_t too_large = SIZE_MAX / 2 + 1;
    __asm__("" : "+r"(too_large));
    CHECK(::operator new(too_large, std::nothrow) == nullptr);
}

void aligned_forms()
{
    for (std::size_t align = 32; align <= 65536; align *= 2) {
        std::align_val_t value{align};
        void *block = ::operator new(100, value);
        CHECK(is_aligned(block, align));
        ::operator delete(block, value);
        block = ::operator new(100, value);
        ::operator delete(block, 100, value);
        block = ::operator new[](100, value, std::nothrow);
        CHECK(is_aligned(block, align));
        ::operator delete[](block, value, std::nothrow);
        block = ::operator new[](100, value);
        ::operator delete[](block, 100, value);
    }
    std::unique_ptr<Wide> one(new Wide);
    std::unique_ptr<Wide[]> some(new Wide[5]);
    CHECK(is_aligned(one.get(), alignof(Wide)) && is_aligned(some.get(), alignof(Wide)));
}

void failure_throws_bad_alloc()
{
    std::size_t too_large = SIZE_MAX / 2 + 1;
    __asm__("" : "+r"(too_large));
    bool caught = false;
    try {
        ::operator delete(::operator new(too_large));
    } catch (const std::bad_alloc &) {
        caught = true;
    }
    CHECK(caught);
}

thread_local std::vector<std::string> words;

void containers_and_thread_locals()
{
    std::vector<std::thread> threads;
    for (int n = 0; n < 8; ++n) {
        threads.emplace_back([n] {
            std::map<int, std::string> table;
            for (int i = 0; i < 2000; ++i) {
                table[i * 7919 % 2003] = std::string(static_cast<std::size_t>(i % 90), 'x');
                words.push_back(table[i * 7919 % 2003]);
            }
            CHECK(table.size() == 2000 && n >= 0);
        });
    }
    for (auto &thread : threads) {
        thread.join();
    }
}

struct Case {
    const char *name;
    void (*run)();
};

const Case cases[] = {
    {"plain_array_and_sized_forms", plain_array_and_sized_forms},
    {"nothrow_forms", nothrow_forms},
    {"aligned_forms", aligned_forms},
    {"failure_throws_bad_alloc", failure_throws_bad_alloc},
    {"containers_and_thread_locals", containers_and_thread_locals},
};

/* Allocates before main and frees after it. */
struct Global {
    std::string text = std::string(1000, 'g');
} global;

} // namespace

int main(int argc, char **argv)
{
    CHECK(global.text.size() == 1000);
    for (const Case &each : cases) {
        if (argc < 2) {
            std::puts(each.name);
        } else if (std::strcmp(argv[1], each.name) == 0) {
            each.run();
            return 0;
        }
    }
    return argc < 2 ? 0 : 2;
}
