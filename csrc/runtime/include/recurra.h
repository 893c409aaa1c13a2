/* recurra's runtime: a trained model in any program, without Python. C11, usable from C++.
 *
 *   recurra_model *model;
 *   if (recurra_model_load("model.safetensors", NULL, &model)) return fail(recurra_last_error());
 *   size_t size, alignment;
 *   recurra_state_size(model, 1, &size, &alignment);
 *   recurra_state *state;
 *   recurra_state_init(model, 1, aligned_alloc(alignment, size), size, &state);
 *   for (;;) recurra_step(model, state, x, inputs, y, outputs);
 *
 * A model is immutable: any number of threads may use one at the same time. A state belongs to one stream, and to one
 * thread at a time. The file is what `model.save("model.safetensors")` writes. Results are those of Python, bit for bit
 * on the same instruction set, step by step as well as over a whole sequence.
 *
 * Every function that can fail returns a status; recurra_last_error() then says what was expected and what came.
 * Nothing is printed, thrown, read from the environment or kept in global variables.
 *
 * B: rows of a batch, T: steps, I: inputs, O: outputs. "Numbers" are counted, not bytes; they are of the type that
 * recurra_model_get_info() names. All arrays are contiguous, the last axis first in memory; they need the alignment of
 * their type only.
 */
#ifndef RECURRA_H_
#define RECURRA_H_

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A shared build exports these functions alone; linked statically they stay inside the program or plug-in. */
#ifndef RECURRA_API
#if defined(RECURRA_SHARED) && defined(__GNUC__)
#define RECURRA_API __attribute__((visibility("default")))
#else
#define RECURRA_API
#endif
#endif

/* ---- versions ------------------------------------------------------------------------------------------------- */

/* Major version in the upper 16 bits, minor in the lower. A library serves every program built against the same major
 * version and a minor version that is not newer than its own; structs grow at their end only. */
#define RECURRA_ABI_VERSION ((1u << 16) | 0u)

/* The library's own RECURRA_ABI_VERSION. */
RECURRA_API uint32_t recurra_abi_version(void);

/* The library's release, such as "0.3.0". */
RECURRA_API const char* recurra_version(void);

/* ---- statuses ------------------------------------------------------------------------------------------------- */

typedef enum recurra_status {
  RECURRA_OK = 0,
  RECURRA_BAD_ARGUMENT = 1, /* a null pointer, a wrong size, a number out of its range */
  RECURRA_NO_MEMORY = 2,    /* the allocator returned null */
  RECURRA_NO_FILE = 3,      /* the file cannot be opened or read */
  RECURRA_BAD_FILE = 4,     /* not a saved model, damaged, or a tensor is missing */
  RECURRA_NEWER_FILE = 5,   /* written by a newer version */
  RECURRA_UNSUPPORTED = 6,  /* a layer or variant that the runtime does not have, or an instruction set that the CPU
                               does not have */
  RECURRA_WRONG_STATE = 7,  /* a state of another model, or memory that recurra_state_init() never saw */
  RECURRA_CANNOT_STEP = 8,  /* the model needs whole sequences (a bidirectional layer, say): use recurra_run() */
  RECURRA_STATUS_MAX_ = 0x7fffffff
} recurra_status;

/* A status in words: "ok", "bad argument", ... Never null. */
RECURRA_API const char* recurra_status_text(recurra_status status);

/* What went wrong in the calling thread's last call that failed, as `argument: expected X, got Y; hint`. Never null;
 * valid until that thread's next failing call. */
RECURRA_API const char* recurra_last_error(void);

/* ---- models --------------------------------------------------------------------------------------------------- */

typedef struct recurra_model recurra_model;

/* Memory for models, and for what a recurra_run() needs of models that cannot step. `allocate` returns memory of at
 * least `size` bytes aligned to `alignment` (a power of two), or null; `release` takes it back with the same size. Both
 * are given `user`. Both null: the C library's. Called only within the call that they serve, on its thread. */
typedef struct recurra_allocator {
  void* (*allocate)(void* user, size_t size, size_t alignment);
  void (*release)(void* user, void* memory, size_t size);
  void* user;
} recurra_allocator;

/* How to load a model. Fill it with RECURRA_OPTIONS_INIT and change what should differ. */
typedef struct recurra_options {
  size_t struct_size;   /* sizeof(recurra_options): what the program knows of this struct */
  uint32_t abi_version; /* RECURRA_ABI_VERSION */
  uint32_t threads;     /* most threads of one recurra_run(); 1: the caller's alone. recurra_step() uses no other
                           thread ever. A library built without OpenMP ignores it. */
  const char* isa;      /* instruction set by name, see recurra_isa(); null: the best that the CPU has */
  recurra_allocator allocator;
} recurra_options;

#define RECURRA_OPTIONS_INIT                                                    \
  {                                                                             \
    sizeof(recurra_options), RECURRA_ABI_VERSION, 1, NULL, { NULL, NULL, NULL } \
  }

/* The name of the index-th instruction set that both this library and this CPU have, best first ("avx512", "avx2",
 * "neon", "baseline"); null behind the last one. */
RECURRA_API const char* recurra_isa(size_t index);

/* Loads a model from a file. `options` may be null. *model is null on failure. Reads nothing else and keeps no file
 * open; needs at most about twice the file's size while it loads, three times where layers are called again and again.
 */
RECURRA_API recurra_status recurra_model_load(const char* path, const recurra_options* options, recurra_model** model);

/* The same from the bytes of a file; they are not needed after the call. */
RECURRA_API recurra_status recurra_model_load_memory(const void* data, size_t size, const recurra_options* options,
                                                     recurra_model** model);

/* Frees a model, which nothing may use any more; null is allowed. States hold no memory of a model's. */
RECURRA_API void recurra_model_free(recurra_model* model);

typedef enum recurra_dtype {
  RECURRA_FLOAT32 = 1, /* float */
  RECURRA_FLOAT64 = 2, /* double */
  RECURRA_INT64 = 3,   /* int64_t: the input of a model that starts with an Embedding */
  RECURRA_DTYPE_MAX_ = 0x7fffffff
} recurra_dtype;

/* What a model is. Set struct_size before the call; the library fills what it and the program both know. */
typedef struct recurra_model_info {
  size_t struct_size;        /* in: sizeof(recurra_model_info) */
  recurra_dtype input_dtype; /* of x */
  recurra_dtype dtype;       /* of y and of states */
  size_t inputs;             /* I: numbers of one row and step of x; 1 where x is integers */
  size_t outputs;            /* O: numbers of one row (and step) of y */
  size_t layers;             /* see recurra_model_get_layer() */
  size_t states;             /* see recurra_model_get_state() */
  size_t state_numbers;      /* of all states of one row: what recurra_state_get() gives for B = 1 */
  size_t parameters;         /* weights of the model */
  int32_t can_step;          /* 1: recurra_step() works; 0: recurra_run() only */
  int32_t gives_sequence;    /* 1: y of recurra_run() is [B, T, O]; 0: [B, O], of the last step alone */
  uint32_t threads;          /* as loaded */
  uint32_t reserved;         /* 0 */
  const char* isa;           /* the instruction set in use; lives as long as the library */
  size_t memory;             /* bytes that the model holds */
} recurra_model_info;

RECURRA_API recurra_status recurra_model_get_info(const recurra_model* model, recurra_model_info* info);

/* A layer of the model, in the order in which they run first. The texts live as long as the model. */
typedef struct recurra_layer_info {
  size_t struct_size;     /* in: sizeof(recurra_layer_info) */
  const char* class_name; /* "LSTM" */
  const char* name;       /* "lstm_1" */
  size_t inputs, outputs; /* numbers of one row and step; of several inputs the first's */
} recurra_layer_info;

RECURRA_API recurra_status recurra_model_get_layer(const recurra_model* model, size_t index, recurra_layer_info* info);

/* One of the states that a stream carries, in the order of recurra_state_get(). The texts live as long as the model. */
typedef struct recurra_state_info {
  size_t struct_size; /* in: sizeof(recurra_state_info) */
  size_t layer;       /* whose state it is */
  const char* name;   /* "h", "c", of a stack "h_l0", "c_l0", ...; "window" of a convolution (its last inputs); "h#2"
                         where a layer is called a second time */
  size_t numbers;     /* of one row */
} recurra_state_info;

RECURRA_API recurra_status recurra_model_get_state(const recurra_model* model, size_t index, recurra_state_info* info);

/* The model in words, a line for each layer. Lives as long as the model; null if `model` is. */
RECURRA_API const char* recurra_model_text(const recurra_model* model);

/* ---- states --------------------------------------------------------------------------------------------------- */

/* What a stream carries from step to step, and the room its steps need. It lies in memory of the caller's, holds no
 * pointer and owns nothing: dropping it is giving that memory back, and its bytes may be moved to other memory of the
 * same alignment. */
typedef struct recurra_state recurra_state;

/* How much memory a state for B = `batch` rows needs, and its alignment (64). */
RECURRA_API recurra_status recurra_state_size(const recurra_model* model, size_t batch, size_t* size,
                                              size_t* alignment);

/* Makes a state in `memory` of `size` bytes (at least what recurra_state_size() says, aligned as it says), at the
 * model's initial states. *state is `memory` as what it has become; null on failure. */
RECURRA_API recurra_status recurra_state_init(const recurra_model* model, size_t batch, void* memory, size_t size,
                                              recurra_state** state);

/* Back to the initial states: all rows, or `count` of them. */
RECURRA_API recurra_status recurra_state_reset(const recurra_model* model, recurra_state* state);
RECURRA_API recurra_status recurra_state_reset_rows(const recurra_model* model, recurra_state* state,
                                                    const size_t* rows, size_t count);

/* Copies the states out, or replaces them. `numbers` is [numbers of state 0 | of state 1 | ...], each [B, width],
 * as recurra_model_get_state() lists them and as Python's Stream.get_state() returns them; `count`: B times
 * state_numbers of recurra_model_info. */
RECURRA_API recurra_status recurra_state_get(const recurra_model* model, const recurra_state* state, void* numbers,
                                             size_t count);
RECURRA_API recurra_status recurra_state_set(const recurra_model* model, recurra_state* state, const void* numbers,
                                             size_t count);

/* Copies the states of one stream into another of the same model and batch. */
RECURRA_API recurra_status recurra_state_copy(const recurra_model* model, recurra_state* to, const recurra_state* from);

/* ---- running -------------------------------------------------------------------------------------------------- */

/* One time step: x [B, I] in, y [B, O] out; x_count = B * I and y_count = B * O are checked. Real-time safe: allocates
 * nothing, locks nothing, makes no system call, and takes a time that does not depend on the numbers (denormals are
 * flushed to zero; the thread's floating-point mode is restored). On failure the states stay as they were. x and y may
 * not overlap. */
RECURRA_API recurra_status recurra_step(const recurra_model* model, recurra_state* state, const void* x, size_t x_count,
                                        void* y, size_t y_count);

/* T = `steps` time steps at once: x [B, T, I] in, y [B, T, O] or [B, O] out (gives_sequence of recurra_model_info).
 *
 * lengths [B], each from 0 to T, or null for all T: row b has lengths[b] steps, counted from the start. Behind its end
 * recurrent layers give zeros and their states stay.
 *
 * Starts from the state and leaves it behind the last step: two runs of T steps are one of 2 T. Real-time safe like
 * recurra_step() when the model can step and `threads` is 1. A model that cannot step starts anew at every call, leaves
 * the state alone and takes memory from the allocator. */
RECURRA_API recurra_status recurra_run(const recurra_model* model, recurra_state* state, size_t steps, const void* x,
                                       size_t x_count, const int64_t* lengths, void* y, size_t y_count);

#ifdef __cplusplus
} /* extern "C" */
#endif

#endif /* RECURRA_H_ */
