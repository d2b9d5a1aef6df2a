/* ctypes makes no functions that give back structures: these two ask others to fill them in. */
#include "despina/abi.h"

void (*fill_request_id)(const despina_request *request, despina_str *out);
void (*fill_request_parameter)(const despina_request *request, size_t i, despina_parameter *out);

despina_str request_id(const despina_request *request) {
  despina_str out = {NULL, 0};
  fill_request_id(request, &out);
  return out;
}

despina_parameter request_parameter(const despina_request *request, size_t i) {
  despina_parameter out = {{NULL, 0}, 0, {0}};
  fill_request_parameter(request, i, &out);
  return out;
}
