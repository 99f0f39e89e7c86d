/* Chorus on a device, for apps in C and for other languages' bindings: <chorus/client.hpp> with a C face.
 *
 *   chorus_client* client = NULL;
 *   if (chorus_client_open("me.db", "device", &client) != CHORUS_OK) return complain(chorus_error_message());
 *   chorus_client_rate(client, "The Third Man", 5, NULL);
 *   ...
 *   chorus_client_close(client);
 *
 * Every call that can fail returns a chorus_status; the message of the calling thread's last failure is in
 * chorus_error_message(). Texts are UTF-8 and end with NUL. A client is used by one thread at a time, except for
 * chorus_client_cancel.
 */
#ifndef CHORUS_CLIENT_H
#define CHORUS_CLIENT_H

#include <stddef.h>
#include <stdint.h>

#if defined(__GNUC__)
#define CHORUS_C_API __attribute__((visibility("default")))
#else
#define CHORUS_C_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

typedef enum chorus_status {
  CHORUS_OK = 0,
  CHORUS_USAGE = 1,    /* the call itself is wrong: an argument, an option */
  CHORUS_INPUT = 2,    /* what was to be imported or rated is no rating */
  CHORUS_STORAGE = 3,  /* the store or another file: missing, not writable, full, damaged */
  CHORUS_BUSY = 4,     /* another process is syncing with this store */
  CHORUS_TRUST = 5,    /* certificate, revocation list or the coordinator's identity: a person must look */
  CHORUS_NETWORK = 6,  /* unreachable, or the time is up: later may work */
  CHORUS_REFUSED = 7,  /* the coordinator or this device's own policy said no */
  CHORUS_UNSYNCED = 8, /* asked for what only a sync brings */
  CHORUS_NO_MEMORY = 9
} chorus_status;

/* Of the calling thread's last call that failed; valid until its next failure. "" before the first. */
CHORUS_C_API const char* chorus_error_message(void);
/* One word that stays the same: "malformed", "unreachable", "expired" ... */
CHORUS_C_API const char* chorus_error_code(void);
/* "0.1.0" */
CHORUS_C_API const char* chorus_version(void);

typedef struct chorus_client chorus_client;

/* `store`: the file of what this device knows, made if it is not there. `credentials`: the folder that `chorus-certs
 * device` made; read by chorus_client_sync alone. On success *out is to be closed. */
CHORUS_C_API chorus_status chorus_client_open(const char* store, const char* credentials, chorus_client** out);

/* What the user agrees to give away, whatever a coordinator asks; see PrivacyLimits in client.hpp. 0: the preset. */
typedef struct chorus_privacy_limits {
  double epsilon;            /* of all rounds together, against the coordinator; preset 8 */
  double delta;              /* preset 1e-5 */
  double most_round_epsilon; /* of a single round; preset 8 */
  uint64_t least_interval_s; /* between two updates; preset 0 */
  uint32_t least_cohort;     /* devices that a round's plan must insist on; preset 0: the floors alone */
} chorus_privacy_limits;

/* The same under these limits. Limits that mean nothing are refused by what needs them: sync and the ledger. */
CHORUS_C_API chorus_status chorus_client_open_limited(const char* store, const char* credentials,
                                                      const chorus_privacy_limits* limits, chorus_client** out);
/* NULL is allowed. */
CHORUS_C_API void chorus_client_close(chorus_client* client);

typedef struct chorus_import_report {
  size_t ratings;    /* imported: distinct items */
  size_t added;      /* items that had no rating before */
  size_t replaced;   /* items whose earlier rating was replaced */
  size_t duplicates; /* lines that a later one of the file replaced */
  size_t bad_lines;  /* left out */
  size_t unknown;    /* items that the catalogue lacks: kept, not sent; 0 before the first sync */
} chorus_import_report;

/* Imports one person's ratings file; after an error nothing has changed. With skip_bad_lines (0 or 1) bad lines are
 * left out and counted. `report` may be NULL. */
CHORUS_C_API chorus_status chorus_client_import(chorus_client* client, const char* file, int skip_bad_lines,
                                                chorus_import_report* report);
/* *replaced (may be NULL): whether there was a rating before. */
CHORUS_C_API chorus_status chorus_client_rate(chorus_client* client, const char* item, double value, int* replaced);
/* *existed (may be NULL): whether there was one. */
CHORUS_C_API chorus_status chorus_client_remove(chorus_client* client, const char* item, int* existed);

/* Makes a key in the credentials folder and has it certified by the enrolment authority's service at "host:port", by the
 * invitation that its operator gave. *waiting (may be NULL) is 1 where an operator has yet to decide: call again later.
 * The private key never leaves the folder. */
CHORUS_C_API chorus_status chorus_client_enrol(chorus_client* client, const char* authority, const char* invitation,
                                               int* waiting);
/* Certifies the same key for another while; chorus_client_sync does so in time by itself. */
CHORUS_C_API chorus_status chorus_client_renew(chorus_client* client);

#define CHORUS_ANY_IDENTITY_AGE UINT64_MAX

typedef struct chorus_sync_options {
  const char* coordinator; /* "host:port", or several, separated by commas */
  const char* job;         /* NULL: the coordinator's only one */
  uint64_t rounds;         /* take part in so many; 0: only fetch the latest model */
  int until_finished;      /* 1: take part as long as the job runs */
  uint64_t patience_ms;    /* give up after this time; 0: never */
  int without_noise;       /* not 0: the user agrees to rounds without noise; see SyncOptions in client.hpp */
  /* Seconds since the enrolment of the other devices of a sum, at least. 0: 30 days. Below: demonstrations alone;
     CHORUS_ANY_IDENTITY_AGE asks for none. */
  uint64_t least_identity_age_s;
} chorus_sync_options;

typedef enum chorus_sync_ending {
  CHORUS_SYNC_COMPLETE = 0,  /* as asked for */
  CHORUS_SYNC_FINISHED = 1,  /* the job has reached its goal */
  CHORUS_SYNC_CANCELLED = 2, /* by chorus_client_cancel */
  CHORUS_SYNC_IMPATIENT = 3  /* patience_ms was over */
} chorus_sync_ending;

typedef struct chorus_sync_report {
  chorus_sync_ending ending;
  uint64_t rounds;  /* ended with this device's update in them */
  uint64_t aborted; /* ended without a result */
  int has_model;    /* 1: model_version says which one */
  uint64_t model_version;
  uint64_t bytes_up;
  uint64_t bytes_down;
  uint32_t devices_ready; /* of the coordinator's last word on waiting */
  uint32_t devices_needed;
} chorus_sync_report;

/* `sentence` is for a person and valid during the call; done of total, where it is a matter of amounts (else 0 of 0).
 * Called on the thread that syncs; it may call chorus_client_cancel. */
typedef void (*chorus_progress)(void* context, const char* sentence, uint64_t done, uint64_t total);

/* Blocks; reconnects by itself. `progress` and `report` may be NULL. */
CHORUS_C_API chorus_status chorus_client_sync(chorus_client* client, const chorus_sync_options* options,
                                              chorus_progress progress, void* context, chorus_sync_report* report);
/* Ends the sync that runs now, or the next one, soon. From any thread and from a signal's handler. */
CHORUS_C_API void chorus_client_cancel(chorus_client* client);

typedef struct chorus_recommendations chorus_recommendations;

/* At most `count` items that the user has not rated. On success *out is to be freed. */
CHORUS_C_API chorus_status chorus_client_recommend(chorus_client* client, size_t count, chorus_recommendations** out);
/* NULL is allowed. */
CHORUS_C_API void chorus_recommendations_free(chorus_recommendations* list);
CHORUS_C_API size_t chorus_recommendations_count(const chorus_recommendations* list);
/* "personal", "popularity" or "catalogue"; see Recommendations::basis in client.hpp. */
CHORUS_C_API const char* chorus_recommendations_basis(const chorus_recommendations* list);
/* Of the item at `index`, the best first; NULL or 0 beyond the last. The texts live as long as the list. */
CHORUS_C_API const char* chorus_recommendation_item(const chorus_recommendations* list, size_t index);
CHORUS_C_API const char* chorus_recommendation_title(const chorus_recommendations* list, size_t index);
CHORUS_C_API const char* chorus_recommendation_why(const chorus_recommendations* list, size_t index);
CHORUS_C_API double chorus_recommendation_score(const chorus_recommendations* list, size_t index);

typedef struct chorus_client_state {
  size_t ratings;   /* that are trained on */
  size_t held_out;  /* that are measured only */
  size_t unknown;   /* of items that the catalogue lacks; 0 before the first sync */
  size_t off_scale; /* with values that the job does not accept; 0 before the first sync */
  size_t catalogue_items;
  int has_model; /* 1: the two below say which one */
  uint64_t model_version;
  uint64_t training_rounds;
  int64_t last_contact; /* seconds since 1970; 0: never */
  uint32_t devices_ready;
  uint32_t devices_needed;
} chorus_client_state;

CHORUS_C_API chorus_status chorus_client_get_state(chorus_client* client, chorus_client_state* out);
/* Forgets the job, its coordinator and its model; keeps the ratings. */
CHORUS_C_API chorus_status chorus_client_leave(chorus_client* client);

/* What this device gave away, as its own ledger has it; see SharedLedger in client.hpp. */
typedef struct chorus_ledger chorus_ledger;

typedef struct chorus_ledger_totals {
  uint64_t updates;     /* in all */
  uint64_t unprotected; /* of them without noise: no epsilon holds them */
  double epsilon_spent; /* by all the others together */
  double epsilon_left;
  int has_rounds_left; /* 1: rounds_left says how many, at the cost of the last update with noise */
  uint64_t rounds_left;
} chorus_ledger_totals;

/* The texts live as long as the ledger. */
typedef struct chorus_shared_update {
  int64_t when; /* seconds since 1970 */
  uint64_t round;
  int in_history;  /* 1: of the job that this device is in; else the five below say nothing */
  const char* job; /* "" */
  const char* purpose;
  const char* ending;
  uint64_t model_version; /* that the update started from */
  uint32_t others;        /* whose updates are in the same sum; 0: no result came */
  uint32_t honest;        /* devices whose noise hid it, itself included */
  double epsilon;         /* of this update alone; infinite: it left without noise */
} chorus_shared_update;

/* The newest `updates`, and the totals of all. On success *out is to be freed. */
CHORUS_C_API chorus_status chorus_client_read_ledger(chorus_client* client, size_t updates, chorus_ledger** out);
/* NULL is allowed. */
CHORUS_C_API void chorus_ledger_free(chorus_ledger* ledger);
/* Zeros for NULL. */
CHORUS_C_API chorus_ledger_totals chorus_ledger_get_totals(const chorus_ledger* ledger);
CHORUS_C_API size_t chorus_ledger_count(const chorus_ledger* ledger);
/* At `index`, the newest first. CHORUS_USAGE beyond the last. */
CHORUS_C_API chorus_status chorus_ledger_get_update(const chorus_ledger* ledger, size_t index,
                                                    chorus_shared_update* out);

/* Stops for good: deletes ratings, job, model and history, and the private files of the credentials folder; every later
 * sync is refused. The ledger stays, so that a spent budget stays spent. May be repeated. */
CHORUS_C_API chorus_status chorus_client_forget(chorus_client* client);

#ifdef __cplusplus
}
#endif

#endif
