/* A small app in C: rates an item, fetches the latest model, prints what this device knows and what it recommends.
 *   status STORE CREDENTIALS COORDINATOR ITEM VALUE */
#include <chorus/client.h>
#include <stdio.h>
#include <stdlib.h>

static void say(void* context, const char* sentence, uint64_t done, uint64_t total) {
  (void)done;
  (void)total;
  fprintf((FILE*)context, "%s\n", sentence);
}

static int complain(chorus_client* client) {
  fprintf(stderr, "%s (%s)\n", chorus_error_message(), chorus_error_code());
  chorus_client_close(client);
  return 1;
}

int main(int argc, char** argv) {
  chorus_client* client = NULL;
  chorus_recommendations* list = NULL;
  chorus_client_state state;
  chorus_sync_options options = {0};
  if (argc != 6) {
    fprintf(stderr, "usage: %s STORE CREDENTIALS COORDINATOR ITEM VALUE\n", argv[0]);
    return 2;
  }
  if (chorus_client_open(argv[1], argv[2], &client) != CHORUS_OK) return complain(NULL);
  if (chorus_client_rate(client, argv[4], atof(argv[5]), NULL) != CHORUS_OK) return complain(client);

  options.coordinator = argv[3];
  options.patience_ms = 60000;
  options.without_noise = 1; /* the user was asked */
  options.least_identity_age_s = CHORUS_ANY_IDENTITY_AGE;
  if (chorus_client_sync(client, &options, say, stderr, NULL) != CHORUS_OK) return complain(client);

  if (chorus_client_get_state(client, &state) != CHORUS_OK) return complain(client);
  printf("%zu ratings, %zu items, model version %llu\n", state.ratings, state.catalogue_items,
         (unsigned long long)state.model_version);
  if (chorus_client_recommend(client, 3, &list) != CHORUS_OK) return complain(client);
  for (size_t i = 0; i < chorus_recommendations_count(list); ++i) {
    printf("%s: %s\n", chorus_recommendation_title(list, i), chorus_recommendation_why(list, i));
  }
  chorus_recommendations_free(list);
  chorus_client_close(client);
  return 0;
}
