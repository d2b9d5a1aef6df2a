/* A backend in plain C: OUTPUT = INPUT, FP32, of any shape. It is what a backend looks like that
 * was compiled against a header that is frozen; which one, the test says. */
#include ABI_HEADER
#include <stdlib.h>
#include <string.h>

#define TEXT(text) {text, sizeof(text) - 1}

static const despina_host_api *host;
static const int64_t shape[] = {-1};

struct despina_backend { int unused; };
struct despina_model { despina_tensor_spec input, output; };
struct despina_instance { int unused; };

static despina_code fail(despina_error *error, const char *text) {
  if (error != NULL) strcpy(error->message, text);
  return DESPINA_RESOURCE_EXHAUSTED;
}

static despina_code backend_create(const despina_host_api *offered, const despina_pair *options,
                                   size_t count, despina_backend **out, despina_error *error) {
  (void)options, (void)count;
  host = offered;
  *out = calloc(1, sizeof **out);
  return *out != NULL ? DESPINA_OK : fail(error, "no memory");
}
static void backend_destroy(despina_backend *backend) { free(backend); }

static despina_code model_load(despina_backend *backend, const despina_model_spec *spec,
                               despina_model **out, despina_error *error) {
  (void)backend, (void)spec;
  const despina_tensor_spec input = {TEXT("INPUT"), shape, 1, {DESPINA_TYPE_FLOAT, 32, 1}, 0};
  despina_model *model = calloc(1, sizeof *model);
  if (model == NULL) return fail(error, "no memory");
  model->input = input;
  model->output = input;
  model->output.name = (despina_str)TEXT("OUTPUT");
  *out = model;
  return DESPINA_OK;
}
static despina_code model_describe(despina_model *model, despina_signature *out,
                                   despina_error *error) {
  (void)error;
  out->max_batch_size = -1;
  out->inputs = &model->input;
  out->input_count = 1;
  out->outputs = &model->output;
  out->output_count = 1;
  return DESPINA_OK;
}
static void model_unload(despina_model *model) { free(model); }

static despina_code instance_create(despina_model *model, const despina_placement *placement,
                                    despina_instance **out, despina_error *error) {
  (void)model, (void)placement;
  *out = calloc(1, sizeof **out);
  return *out != NULL ? DESPINA_OK : fail(error, "no memory");
}
static void instance_destroy(despina_instance *instance) { free(instance); }

static void execute(despina_instance *instance, despina_batch *batch) {
  (void)instance;
  const despina_device cpu = {DESPINA_DEVICE_CPU, 0};
  despina_tensor in, out;
  despina_error error;
  error.message[0] = '\0';
  despina_code code = host->batch_gather(batch, 0, cpu, NULL, &in, &error);
  if (code == DESPINA_OK)
    code = host->batch_allocate(batch, 0, in.datatype, in.shape, in.ndim, &out, &error);
  if (code == DESPINA_OK) memcpy(out.data, in.data, in.byte_size);
  const despina_str message = {error.message, strlen(error.message)};
  host->batch_complete(batch, code, message);
}

__attribute__((visibility("default"))) despina_code despina_backend_entry(
    const despina_host_api *offered, despina_backend_api *out, despina_error *error) {
  (void)offered, (void)error;
  const despina_backend_api table = {
      .struct_size = sizeof table,
      .abi_major = DESPINA_ABI_MAJOR,
      .abi_minor = DESPINA_ABI_MINOR,
      .abi_hash = DESPINA_ABI_HASH,
      .name = TEXT("plain"),
      .version = TEXT("1"),
      .backend_create = backend_create,
      .backend_destroy = backend_destroy,
      .model_load = model_load,
      .model_describe = model_describe,
      .model_unload = model_unload,
      .instance_create = instance_create,
      .execute = execute,
      .instance_destroy = instance_destroy,
  };
  const uint32_t room = out->struct_size;
  memcpy(out, &table, room < sizeof table ? room : sizeof table);
  if (room < sizeof table) out->struct_size = room;
  return DESPINA_OK;
}
