// Goroutines and channels beside our tasks, coroutines and channels.
// Arguments: --rows, or a row's name, a budget in nanoseconds, a divisor of fixed amounts of work.
// Reports lines on descriptor 3, as every peer of async_bench does (runtime/bench/peers/peer.h).
package main

import (
	"bufio"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"sort"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

const (
	million    = 1000000
	batchTasks = 4096
	queueItems = 1024
	queueTotal = 65536
	itemsEach  = 1024
	// Five samples are wanted; after a second one must do.
	batchesWanted = 5
	enough        = time.Second
	amountMin     = 64
)

var (
	out      *os.File
	budget   time.Duration
	divisor  int
	sinkWord uint64
)

func emit(metric, unit string, value float64) {
	fmt.Fprintf(out, "metric\t%s\t%s\t0\t%.9g\n", metric, unit, value)
}

func amount(whole int) int {
	if whole/divisor < amountMin {
		return amountMin
	}
	return whole / divisor
}

// Reports the median of elapsed nanoseconds / operations over the budget, after one warm-up.
func measure(metric string, operations int, batch func()) float64 {
	var samples []float64
	start := time.Now()

	batch()
	for len(samples) == 0 || time.Since(start) < budget ||
		(len(samples) < batchesWanted && time.Since(start) < enough) {
		begin := time.Now()
		batch()
		samples = append(samples, float64(time.Since(begin).Nanoseconds())/float64(operations))
	}
	sort.Float64s(samples)
	emit(metric, "ns", samples[len(samples)/2])
	return samples[0]
}

// One fixed amount of work: elapsed nanoseconds / operations.
func once(metric string, operations int, work func()) {
	begin := time.Now()
	work()
	emit(metric, "ns", float64(time.Since(begin).Nanoseconds())/float64(operations))
}

func kibOf(path, key string) int {
	file, err := os.Open(path)
	if err != nil {
		return 0
	}
	defer file.Close()
	scanner := bufio.NewScanner(file)
	for scanner.Scan() {
		if strings.HasPrefix(scanner.Text(), key) {
			kib, _ := strconv.Atoi(strings.Fields(scanner.Text())[1])
			return kib
		}
	}
	return 0
}

// Resident bytes and page tables.
func memoryBytes() int {
	return 1024 * (kibOf("/proc/self/smaps_rollup", "Rss:") + kibOf("/proc/self/status", "VmPTE:"))
}

func require(holds bool, what string) {
	if !holds {
		fmt.Fprintln(os.Stderr, "async_peer_go:", what)
		os.Exit(1)
	}
}

func taskSpawn() {
	runtime.GOMAXPROCS(1)
	ran := 0
	measure("time", batchTasks, func() {
		ran = 0
		for i := 0; i < batchTasks; i++ {
			go func() { ran++ }()
			if i%64 == 63 {
				runtime.Gosched()
			}
		}
		for ran < batchTasks {
			runtime.Gosched()
		}
	})
}

func taskJoin() {
	runtime.GOMAXPROCS(1)
	measure("time", batchTasks, func() {
		for i := 0; i < batchTasks; i++ {
			result := make(chan uint64, 1)
			go func() { result <- uint64(i) }()
			sinkWord += <-result
		}
	})
}

func pingPong(processors int) {
	runtime.GOMAXPROCS(processors)
	there := make(chan uint64)
	back := make(chan uint64)
	go func() {
		for value := range there {
			back <- value
		}
	}()
	measure("round trip", batchTasks, func() {
		for i := uint64(0); i < batchTasks; i++ {
			there <- i
			sinkWord += <-back
		}
	})
	close(there)
}

func switchAmong(routines int) {
	runtime.GOMAXPROCS(1)
	turns := 8192 / routines
	if turns < 2 {
		turns = 2
	}
	measure("yield", routines*turns, func() {
		ended := 0
		for i := 0; i < routines; i++ {
			go func() {
				for turn := 0; turn < turns; turn++ {
					runtime.Gosched()
				}
				ended++
			}()
		}
		for ended < routines {
			runtime.Gosched()
		}
	})
}

func skynetActor(result chan uint64, number, size uint64) {
	if size == 1 {
		result <- number
		return
	}
	children := make(chan uint64, 10)
	part := size / 10
	for i := uint64(0); i < 10; i++ {
		go skynetActor(children, number+i*part, part)
	}
	sum := uint64(0)
	for i := 0; i < 10; i++ {
		sum += <-children
	}
	result <- sum
}

func skynet(processors int) {
	runtime.GOMAXPROCS(processors)
	leaves := uint64(1)
	for leaves*10 <= uint64(amount(million)) {
		leaves *= 10
	}
	actors := int(leaves + (leaves-1)/9)
	measure("per actor", actors, func() {
		result := make(chan uint64)
		go skynetActor(result, 0, leaves)
		require(<-result == leaves*(leaves-1)/2, "skynet's sum is wrong")
	})
}

func queue(producers, consumers int) {
	runtime.GOMAXPROCS(2)
	items := amount(queueTotal)
	if items < amount(itemsEach*producers*consumers) {
		items = amount(itemsEach * producers * consumers)
	}
	if items < 4*producers*consumers {
		items = 4 * producers * consumers
	}
	items = items / (producers * consumers) * producers * consumers
	fastest := measure("per item", items, func() {
		channel := make(chan uint64, queueItems)
		var senders, receivers sync.WaitGroup
		var sum uint64
		for c := 0; c < consumers; c++ {
			receivers.Add(1)
			go func() {
				own := uint64(0)
				for value := range channel {
					own += value
				}
				atomic.AddUint64(&sum, own)
				receivers.Done()
			}()
		}
		for p := 0; p < producers; p++ {
			senders.Add(1)
			go func() {
				for i := 0; i < items/producers; i++ {
					channel <- 1
				}
				senders.Done()
			}()
		}
		senders.Wait()
		close(channel)
		receivers.Wait()
		require(sum == uint64(items), "items were lost")
	})
	emit("fastest batch", "ns", fastest)
}

func selectOfFour() {
	runtime.GOMAXPROCS(1)
	var channels [4]chan uint64
	for i := range channels {
		channels[i] = make(chan uint64, 64)
	}
	items := amount(20000) / 4 * 4
	measure("per item", items, func() {
		go func() {
			for i := 0; i < items; i++ {
				channels[i%4] <- 1
			}
		}()
		sum := uint64(0)
		for i := 0; i < items; i++ {
			select {
			case value := <-channels[0]:
				sum += value
			case value := <-channels[1]:
				sum += value
			case value := <-channels[2]:
				sum += value
			case value := <-channels[3]:
				sum += value
			}
		}
		require(sum == uint64(items), "items were lost")
	})
}

func idleReport(count int, before int, kind string) {
	debug.FreeOSMemory()
	after := memoryBytes()
	emit("per "+kind, "B", float64(after-before)/float64(count))
	emit("memory", "MiB", float64(after-before)/1048576)
}

func idleTasks() {
	count := amount(million)
	gate := make(chan struct{})
	joins := make([]chan uint64, count)
	debug.FreeOSMemory()
	before := memoryBytes()
	for i := range joins {
		joins[i] = make(chan uint64, 1)
		go func(result chan uint64, value uint64) {
			<-gate
			result <- value
		}(joins[i], uint64(i))
	}
	for runtime.NumGoroutine() < count {
		runtime.Gosched()
	}
	time.Sleep(100 * time.Millisecond)
	idleReport(count, before, "task")
	close(gate)
	for i := range joins {
		require(<-joins[i] == uint64(i), "a task lost its value")
	}
}

//go:noinline
func idleInner(gate chan struct{}, outer *[16]uint64) uint64 {
	var locals [16]uint64
	for i := range locals {
		locals[i] = outer[i] * 3
	}
	<-gate
	sum := uint64(0)
	for i := range locals {
		sum += locals[i] + outer[i]
	}
	return sum
}

//go:noinline
func idleOuter(gate chan struct{}, seed uint64) uint64 {
	var locals [16]uint64
	for i := range locals {
		locals[i] = seed + uint64(i)
	}
	return idleInner(gate, &locals)
}

func idleCoroutines() {
	count := amount(million)
	gate := make(chan struct{})
	var ended sync.WaitGroup
	wrong := int64(0)
	debug.FreeOSMemory()
	before := memoryBytes()
	ended.Add(count)
	for i := 0; i < count; i++ {
		go func(seed uint64) {
			if idleOuter(gate, seed) != 4*(16*seed+120) {
				atomic.AddInt64(&wrong, 1)
			}
			ended.Done()
		}(uint64(i))
	}
	for runtime.NumGoroutine() < count {
		runtime.Gosched()
	}
	time.Sleep(100 * time.Millisecond)
	idleReport(count, before, "coroutine")
	begin := time.Now()
	close(gate)
	ended.Wait()
	emit("resume", "ns", float64(time.Since(begin).Nanoseconds())/float64(count))
	require(wrong == 0, "a goroutine lost its locals")
}

func timers() {
	runtime.GOMAXPROCS(1)
	count := amount(million)
	started := make([]*time.Timer, count)
	fired := int64(0)
	once("insert", count, func() {
		for i := range started {
			started[i] = time.AfterFunc(time.Hour+time.Duration(i*7919%count)*time.Microsecond, func() {})
		}
	})
	once("cancel", count, func() {
		for i := range started {
			started[i].Stop()
		}
	})
	once("insert and fire", count, func() {
		for i := 0; i < count; i++ {
			time.AfterFunc(time.Duration(i*7919%1000)*time.Microsecond, func() { atomic.AddInt64(&fired, 1) })
		}
		for atomic.LoadInt64(&fired) < int64(count) {
			runtime.Gosched()
		}
	})
}

func main() {
	rows := map[string]func(){
		"task.spawn":      taskSpawn,
		"exec.spawn":      taskSpawn,
		"task.join":       taskJoin,
		"pingpong.one":    func() { pingPong(1) },
		"pingpong.two":    func() { pingPong(2) },
		"switch.2":        func() { switchAmong(2) },
		"switch.64":       func() { switchAmong(64) },
		"switch.4096":     func() { switchAmong(4096) },
		"skynet.stackful": func() { skynet(1) },
		"skynet.two":      func() { skynet(2) },
		"spsc.single":     func() { queue(1, 1) },
		"mpmc.2x2":        func() { queue(2, 2) },
		"mpsc.1":          func() { queue(1, 1) },
		"mpsc.2":          func() { queue(2, 1) },
		"mpsc.8":          func() { queue(8, 1) },
		"mpsc.1000":       func() { queue(1000, 1) },
		"select.4":        selectOfFour,
		"idle.tasks":      idleTasks,
		"idle.coroutines": idleCoroutines,
		"timer.1m":        timers,
	}
	out = os.NewFile(3, "results")
	if _, err := out.Stat(); err != nil {
		out = os.Stdout
	}
	if len(os.Args) == 2 && os.Args[1] == "--rows" {
		for name := range rows {
			fmt.Fprintf(out, "row\t%s\n", name)
		}
		fmt.Fprintf(out, "version\t%s\n", strings.TrimPrefix(runtime.Version(), "go"))
		return
	}
	if len(os.Args) < 4 || rows[os.Args[1]] == nil {
		os.Exit(2)
	}
	nanoseconds, _ := strconv.ParseInt(os.Args[2], 10, 64)
	divisor, _ = strconv.Atoi(os.Args[3])
	budget = time.Duration(nanoseconds)
	if divisor < 1 {
		os.Exit(2)
	}
	rows[os.Args[1]]()
}
