/* despina/abi.h: everything that a server and a native backend say to each other.
 *
 * C11, and nothing but the headers of C. A backend is a shared library that exports one symbol,
 * despina_backend_entry, and links against nothing of the server's. Authors in C++ include
 * despina/backend.hpp, which is made of this.
 *
 * Rules
 *   1. A structure with struct_size grows at its end only; who fills it in sets the size that he
 *      knows. Structures without it never change.
 *   2. What a pointer points to is lent for the call, unless said otherwise. A tensor of the type
 *      despina_tensor_owned is given away, by a call that succeeds and by no other.
 *   3. A call that fails leaves what it was to fill in untouched, and says why in the error, which
 *      may be NULL.
 *   4. Functions that give back nothing cannot fail; where they are called against their rules,
 *      the server says so in its log.
 *   5. Neither exceptions nor longjmp() cross.
 *   6. Texts are UTF-8, with a size and without an end mark.
 */
#ifndef DESPINA_ABI_H
#define DESPINA_ABI_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define DESPINA_ABI_MAJOR 0
#define DESPINA_ABI_MINOR 1
/* Of this file without this line. While the major number is 0, a server takes the backends that
 * were compiled with its own file, and no others. */
#define DESPINA_ABI_HASH UINT64_C(0x7eb5cd626e493efe)

/* -- codes and texts ------------------------------------------------------------------------- */

/* The numbers of gRPC. */
typedef int32_t despina_code;
enum {
  DESPINA_OK = 0,
  DESPINA_CANCELLED = 1,
  DESPINA_UNKNOWN = 2,
  DESPINA_INVALID_ARGUMENT = 3,
  DESPINA_DEADLINE_EXCEEDED = 4,
  DESPINA_NOT_FOUND = 5,
  DESPINA_ALREADY_EXISTS = 6,
  DESPINA_RESOURCE_EXHAUSTED = 8,
  DESPINA_FAILED_PRECONDITION = 9,
  DESPINA_UNIMPLEMENTED = 12,
  DESPINA_INTERNAL = 13,
  DESPINA_UNAVAILABLE = 14
};

typedef struct {
  const char *data;
  size_t size;
} despina_str;

typedef struct {
  despina_str key;
  despina_str value;
} despina_pair;

/* The caller's. The text ends with a zero, and is cut where it does not fit. */
typedef struct {
  despina_code code;
  char message[508];
} despina_error;

typedef int32_t despina_log_level;
enum { DESPINA_LOG_ERROR = 0, DESPINA_LOG_WARNING = 1, DESPINA_LOG_INFO = 2, DESPINA_LOG_VERBOSE = 3 };

/* -- tensors --------------------------------------------------------------------------------- */

/* Layout and numbers of DLPack's DLDataType. BYTES are elements of the type despina_str. */
typedef struct {
  uint8_t code;
  uint8_t bits;
  uint16_t lanes;
} despina_datatype;
enum {
  DESPINA_TYPE_INT = 0,
  DESPINA_TYPE_UINT = 1,
  DESPINA_TYPE_FLOAT = 2,
  DESPINA_TYPE_BFLOAT = 4,
  DESPINA_TYPE_BOOL = 6,
  DESPINA_TYPE_BYTES = 200
};

/* Layout and numbers of DLPack's DLDevice. */
typedef struct {
  int32_t type;
  int32_t id;
} despina_device;
enum { DESPINA_DEVICE_CPU = 1, DESPINA_DEVICE_CUDA = 2, DESPINA_DEVICE_CUDA_HOST = 3 };

/* Elements in row-major order, without gaps. Data that the server lends is aligned to 64 bytes. */
typedef struct {
  void *data;
  const int64_t *shape;
  int32_t ndim;
  despina_datatype datatype;
  despina_device device;
  uint64_t byte_size;
} despina_tensor;

/* A tensor that somebody owns, who calls release once, on any thread, when nobody reads it any
 * more. The shape may go before, as soon as the tensor has been given away. */
typedef struct despina_tensor_owned {
  despina_tensor tensor;
  void *owner;
  void (*release)(struct despina_tensor_owned *self);
} despina_tensor_owned;

/* -- what a model is ------------------------------------------------------------------------- */

/* The batch axis of a model that has one is not in the shape. -1: the axis varies. */
typedef struct {
  despina_str name;
  const int64_t *shape;
  int32_t ndim;
  despina_datatype datatype;
  uint32_t optional; /* of an input: requests may leave it out */
} despina_tensor_spec;

/* Where the metrics of one version of a model are made. */
typedef struct despina_metrics despina_metrics;

/* One version of a model as its configuration describes it; lent until the model is unloaded. */
typedef struct {
  uint32_t struct_size;
  int32_t max_batch_size; /* 0: no batch axis, or the configuration does not say */
  despina_str name;
  despina_str version;
  despina_str path;   /* the folder of the version, which need not exist */
  despina_str config; /* the whole configuration in its JSON form */
  const despina_pair *parameters;
  size_t parameter_count;
  const despina_tensor_spec *inputs; /* as configured: none when the backend is to tell them */
  size_t input_count;
  const despina_tensor_spec *outputs;
  size_t output_count;
  despina_metrics *metrics;
} despina_model_spec;

/* What a model takes and gives. It completes a configuration that does not say it; one that says
 * something else is refused. All of it must stay as it is until the model is unloaded. */
typedef struct {
  uint32_t struct_size;
  int32_t max_batch_size; /* -1: as configured */
  const despina_tensor_spec *inputs;
  size_t input_count;
  const despina_tensor_spec *outputs;
  size_t output_count;
  int32_t decoupled; /* 1: answers may come in parts; -1: as configured */
} despina_signature;

typedef struct {
  uint32_t struct_size;
  uint32_t ordinal; /* among the instances of the model */
  despina_str name;
  despina_device device;
} despina_placement;

enum {
  DESPINA_PARAMETER_BOOL = 0,
  DESPINA_PARAMETER_INT = 1,
  DESPINA_PARAMETER_DOUBLE = 2,
  DESPINA_PARAMETER_TEXT = 3
};
typedef struct {
  despina_str name;
  int32_t type;
  union {
    uint8_t as_bool;
    int64_t as_int;
    double as_double;
    despina_str as_text;
  } value;
} despina_parameter;

/* -- metrics --------------------------------------------------------------------------------- */

enum { DESPINA_METRIC_COUNTER = 0, DESPINA_METRIC_GAUGE = 1, DESPINA_METRIC_HISTOGRAM = 2 };

/* A series of the metrics page. Those of one name have the same kind, help and bounds. */
typedef struct {
  uint32_t struct_size;
  int32_t kind;
  despina_str name; /* letters, digits, '_' and ':'; it does not begin with nv_ or despina_ */
  despina_str help;
  const despina_pair *labels; /* besides `model` and `version`, which the server adds */
  size_t label_count;
  const double *bounds; /* of a histogram's buckets, ascending; infinity is added */
  size_t bound_count;
} despina_metric_spec;

/* Good until its model is unloaded. */
typedef struct despina_metric despina_metric;

/* -- what the server offers ------------------------------------------------------------------ */

/* Where a request is with the model's own work, for the statistics. */
enum { DESPINA_COMPUTE_STARTS = 0, DESPINA_COMPUTE_ENDS = 1 };

/* The requests that one execute() is to answer; good while it runs, on its thread. */
typedef struct despina_batch despina_batch;
/* One request; good until it is completed. Unless it is detached: on the thread of execute(). */
typedef struct despina_request despina_request;

typedef struct {
  uint32_t struct_size;
  uint16_t abi_major;
  uint16_t abi_minor;
  uint64_t abi_hash;

  /* Any thread. The server adds which model and instance it was, where it can tell. */
  void (*log)(despina_log_level level, despina_str text);
  /* Something that is not in this table, under a name with a version ("example.trace/1"); NULL
   * when the server does not have it. */
  const void *(*query)(despina_str name);

  /* Of a batch. Requests supply the same inputs, in shapes that differ in the batch axis only. */
  size_t (*batch_size)(const despina_batch *batch);
  /* Of all requests together, also of those that are answered. */
  uint64_t (*batch_rows)(const despina_batch *batch);
  /* i < batch_size() */
  despina_request *(*batch_request)(despina_batch *batch, size_t i);

  /* What the calls for inputs and outputs, of a batch and of a request, fail with. INTERNAL: the
   * model has no such output, or the output has another datatype, other rows or other dimensions
   * than its signature says. INVALID_ARGUMENT: what is given is no tensor: another size than its
   * shape takes, no data, a datatype that there is not. UNIMPLEMENTED: a device that the server has
   * no memory on. FAILED_PRECONDITION: the request has been answered, or execute() has returned.
   * RESOURCE_EXHAUSTED: there is no memory. */

  /* All requests' rows of an input in one tensor, lent until execute() returns. One request that
   * lies in the right place is not copied. NOT_FOUND for an optional input that they leave out.
   * `stream`: of the device on which the tensor is to be ready; NULL for the CPU. */
  despina_code (*batch_gather)(despina_batch *batch, uint32_t input, despina_device device,
                               void *stream, despina_tensor *out, despina_error *error);
  /* Memory for an output of all requests that are not answered, to be written before they are
   * completed: what is written is sent from where it is. Not for BYTES. The shape has the rows of
   * all requests of the batch, also of those that are answered. */
  despina_code (*batch_allocate)(despina_batch *batch, uint32_t output, despina_datatype datatype,
                                 const int64_t *shape, int32_t ndim, despina_tensor *out,
                                 despina_error *error);
  /* An output of all requests that are not answered, with rows as above. Not copied, except for
   * BYTES.
   * `stream`: of the device on which it is being written; NULL for the CPU. */
  despina_code (*batch_give)(despina_batch *batch, uint32_t output, void *stream,
                             despina_tensor_owned *tensor, despina_error *error);
  /* The outputs given so far are a part of the answer of all requests that are not answered. Fails
   * as request_send(). */
  despina_code (*batch_send)(despina_batch *batch, despina_error *error);
  /* Completes all requests that are not answered. */
  void (*batch_complete)(despina_batch *batch, despina_code code, despina_str message);

  /* Of a request: what the client called it; may be empty. */
  despina_str (*request_id)(const despina_request *request);
  /* Its own rows of the batch; 1 when the model has no batch axis. */
  uint64_t (*request_rows)(const despina_request *request);
  /* How many custom parameters the client sent. */
  size_t (*request_parameter_count)(const despina_request *request);
  /* i < request_parameter_count() */
  despina_parameter (*request_parameter)(const despina_request *request, size_t i);
  /* 1 when nobody waits for the answer any more. */
  int32_t (*request_cancelled)(const despina_request *request);
  /* 1 when the client asked for the output; what it did not ask for may be left out. */
  int32_t (*request_wants)(const despina_request *request, uint32_t output);
  /* NOT_FOUND for an optional input that was left out. */
  despina_code (*request_input)(despina_request *request, uint32_t input, despina_tensor *out,
                                despina_error *error);
  /* As of a batch, for this request alone: the shape has its own rows. */
  despina_code (*request_allocate)(despina_request *request, uint32_t output,
                                   despina_datatype datatype, const int64_t *shape, int32_t ndim,
                                   despina_tensor *out, despina_error *error);
  /* As of a batch, likewise. */
  despina_code (*request_give)(despina_request *request, uint32_t output, void *stream,
                               despina_tensor_owned *tensor, despina_error *error);
  /* Of the answer, or of the part that is sent next. Copied. INVALID_ARGUMENT for a type that there
   * is not. */
  despina_code (*request_set_parameter)(despina_request *request,
                                        const despina_parameter *parameter, despina_error *error);
  /* The outputs given so far are a part of the answer. UNIMPLEMENTED unless the backend declares
   * DESPINA_STREAMING, FAILED_PRECONDITION when the model is not decoupled. */
  despina_code (*request_send)(despina_request *request, despina_error *error);
  /* Takes the request out of its batch: it may be completed after execute() has returned, on any
   * thread, one call at a time. UNIMPLEMENTED unless the backend declares DESPINA_ASYNC,
   * FAILED_PRECONDITION when it has been answered or is detached. */
  despina_code (*request_detach)(despina_request *request, despina_error *error);
  /* Answers the request. Exactly once: what is left unanswered when execute() returns, and is not
   * detached, fails. The message is the client's to read when the code is not OK. */
  void (*request_complete)(despina_request *request, despina_code code, despina_str message);

  /* What came before the start counts as preparing inputs, what comes after the end as preparing
   * outputs. Where a backend does not say, the server counts its own part of them. */
  void (*batch_mark)(despina_batch *batch, int32_t mark);
  /* The same for one request. */
  void (*request_mark)(despina_request *request, int32_t mark);

  /* Metrics. Any thread, as long as the model is loaded. A series that is there already is given
   * again. INVALID_ARGUMENT: a name, label or bound that the page cannot have; ALREADY_EXISTS: the
   * name is there with another kind, help or other bounds. */
  despina_code (*metric_create)(despina_metrics *metrics, const despina_metric_spec *spec,
                                despina_metric **out, despina_error *error);
  /* No locks. Of a counter: what is not negative. */
  void (*metric_add)(despina_metric *metric, double value);
  /* Of a gauge. */
  void (*metric_set)(despina_metric *metric, double value);
  /* Of a histogram. */
  void (*metric_observe)(despina_metric *metric, double value);
} despina_host_api;

/* -- what a backend offers ------------------------------------------------------------------- */

/* The backend's own types. */
typedef struct despina_backend despina_backend;
typedef struct despina_model despina_model;
typedef struct despina_instance despina_instance;

/* What a backend declares to do. */
enum { DESPINA_STREAMING = 1u << 0, DESPINA_ASYNC = 1u << 1 };

typedef struct {
  uint32_t struct_size;
  uint16_t abi_major;
  uint16_t abi_minor; /* that it needs, which may be less than what it was compiled with */
  uint64_t abi_hash;
  despina_str name; /* as in the field `backend` of a configuration */
  despina_str version;
  uint64_t capabilities;

  /* Control threads, one call at a time for one object, except that models are loaded side by
   * side. Each object is ended once, by the function below that takes it; a call that fails has
   * made none. */
  despina_code (*backend_create)(const despina_host_api *host, const despina_pair *options,
                                 size_t option_count, despina_backend **out, despina_error *error);
  /* After its models. */
  void (*backend_destroy)(despina_backend *backend);
  /* Loads one version; may take its time. */
  despina_code (*model_load)(despina_backend *backend, const despina_model_spec *spec,
                             despina_model **out, despina_error *error);
  /* Once, after the model is loaded: completes its configuration. */
  despina_code (*model_describe)(despina_model *model, despina_signature *out,
                                 despina_error *error);
  /* After its instances. */
  void (*model_unload)(despina_model *model);

  /* The instance's own thread, one call at a time. */
  despina_code (*instance_create)(despina_model *model, const despina_placement *placement,
                                  despina_instance **out, despina_error *error);
  /* Answers the requests of a batch. */
  void (*execute)(despina_instance *instance, despina_batch *batch);
  /* After the last execute(). */
  void (*instance_destroy)(despina_instance *instance);

  /* What follows may be NULL. */

  /* Whether the model can serve, asked about once a second: the answer of the model's readiness
   * route. Requests come all the same. Control thread; must not block. */
  despina_code (*model_ready)(despina_model *model, despina_error *error);
  /* Nobody waits for the answer of this request any more, which is not completed yet. Any thread,
   * also while execute() runs; must not block. It may complete the request. */
  void (*request_cancelled)(despina_instance *instance, despina_request *request);
  const void *(*query)(despina_str name);
} despina_backend_api;

/* The only symbol that a backend exports. Called once, before anything else. It fills in `out` as
 * far as out->struct_size goes, and sets that to what it has filled in. */
typedef despina_code (*despina_backend_entry_function)(const despina_host_api *host,
                                                       despina_backend_api *out,
                                                       despina_error *error);
#define DESPINA_BACKEND_ENTRY "despina_backend_entry"

/* Whether a table has a member, whoever made the table. */
#define DESPINA_HAS(table, member)                                           \
  ((size_t)((const char *)(&(table)->member + 1) - (const char *)(table)) <= \
       (table)->struct_size &&                                               \
   (table)->member != NULL)

#ifdef __cplusplus
}
#endif

#endif
