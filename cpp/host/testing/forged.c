/* Libraries that are nearly backends; which one, the build says. */
#include <despina/abi.h>
#include <string.h>

#define NAME(text) \
  { text, sizeof(text) - 1 }

#ifndef FORGE_CLASH
#define FORGE_CLASH "not today"
#endif
/* Visible, and of the same name in all of these libraries. */
__attribute__((visibility("default"))) const char* clashing_text = FORGE_CLASH;
__attribute__((visibility("default"))) const char* clashing_function(void) { return clashing_text; }

static despina_code create(const despina_host_api* host, const despina_pair* options, size_t count,
                           despina_backend** out, despina_error* error) {
  (void)host, (void)options, (void)count, (void)out;
  if (error != NULL) strcpy(error->message, clashing_function());
  return DESPINA_UNAVAILABLE;
}
static void destroy(despina_backend* backend) { (void)backend; }
static despina_code load(despina_backend* backend, const despina_model_spec* spec,
                         despina_model** out, despina_error* error) {
  (void)backend, (void)spec, (void)out, (void)error;
  return DESPINA_OK;
}
static despina_code describe(despina_model* model, despina_signature* out, despina_error* error) {
  (void)model, (void)out, (void)error;
  return DESPINA_OK;
}
static void unload(despina_model* model) { (void)model; }
static despina_code instance(despina_model* model, const despina_placement* placement,
                             despina_instance** out, despina_error* error) {
  (void)model, (void)placement, (void)out, (void)error;
  return DESPINA_OK;
}
#ifndef FORGE_INCOMPLETE
static void execute(despina_instance* self, despina_batch* batch) { (void)self, (void)batch; }
#endif
static void drop(despina_instance* self) { (void)self; }

#ifdef FORGE_TRITON
__attribute__((visibility("default"))) void* TRITONBACKEND_Initialize(void* backend) {
  return backend;
}
#endif

#ifdef FORGE_NO_SYMBOL
#define ENTRY despina_backend_entri
#else
#define ENTRY despina_backend_entry
#endif

__attribute__((visibility("default"))) despina_code ENTRY(const despina_host_api* host,
                                                          despina_backend_api* out,
                                                          despina_error* error) {
  (void)host, (void)error;
#ifdef FORGE_REFUSES
  strcpy(error->message, "this machine has no abacus");
  return DESPINA_FAILED_PRECONDITION;
#endif
  memset(out, 0, sizeof *out);
  out->struct_size = sizeof *out;
  out->abi_major = DESPINA_ABI_MAJOR;
  out->abi_minor = DESPINA_ABI_MINOR;
  out->abi_hash = DESPINA_ABI_HASH;
#ifdef FORGE_OLDER
  out->abi_hash ^= UINT64_C(1) << 40;
#endif
#ifdef FORGE_NEWER
  out->abi_major += 1;
#endif
#ifdef FORGE_SMALL
  out->struct_size = 8;
#endif
#ifdef FORGE_CAPABILITY
  out->capabilities = UINT64_C(1) << 50;
#endif
  out->name = (despina_str)NAME("forged");
  out->backend_create = create;
  out->backend_destroy = destroy;
  out->model_load = load;
  out->model_describe = describe;
  out->model_unload = unload;
  out->instance_create = instance;
#ifndef FORGE_INCOMPLETE
  out->execute = execute;
#endif
  out->instance_destroy = drop;
  return DESPINA_OK;
}
