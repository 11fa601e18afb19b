#include "cases.h"
const struct model_case protocol_channel[] = {{.name = NULL}};
