// The tables of a device's store, and how an older file becomes a newer one.
#pragma once

#include <array>

namespace chorus::client::schema {

// "Chrs" as SQLite's application id: tells a store from another program's database.
inline constexpr int kApplicationId = 0x43687273;

// Script k turns version k into version k + 1. A script that was released is never edited: a new one follows it.
inline constexpr std::array kMigrations = {
    R"sql(
      CREATE TABLE ratings (
        item TEXT PRIMARY KEY, value REAL NOT NULL, rated_at INTEGER NOT NULL, held_out INTEGER NOT NULL
      ) WITHOUT ROWID;
      CREATE TABLE federation (
        only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
        coordinator_key BLOB, highest_round INTEGER NOT NULL DEFAULT 0,
        contact_at INTEGER, contact_outcome TEXT NOT NULL DEFAULT '',
        contact_ready INTEGER NOT NULL DEFAULT 0, contact_needed INTEGER NOT NULL DEFAULT 0
      );
      INSERT INTO federation (only_row) VALUES (1);
      CREATE TABLE documents (  -- 'job', 'catalogue' and 'model', as the coordinator signed them
        name TEXT PRIMARY KEY, document BLOB NOT NULL, signature BLOB NOT NULL,
        items INTEGER NOT NULL DEFAULT 0, content BLOB
      );
      CREATE TABLE attempts (
        model_id BLOB NOT NULL, purpose INTEGER NOT NULL, count INTEGER NOT NULL, PRIMARY KEY (model_id, purpose)
      ) WITHOUT ROWID;
      CREATE TABLE rounds (
        round INTEGER PRIMARY KEY, cohort INTEGER NOT NULL, purpose INTEGER NOT NULL, model_version INTEGER NOT NULL,
        model_id BLOB NOT NULL, started_at INTEGER NOT NULL, members INTEGER NOT NULL, survivors INTEGER NOT NULL,
        bytes_up INTEGER NOT NULL, bytes_down INTEGER NOT NULL, ending INTEGER NOT NULL, reason TEXT NOT NULL,
        vote BLOB
      );
    )sql",
    R"sql(
      CREATE TABLE ledger (  -- privacy::LedgerEntry; never deleted, its last chain is sealed beside the file
        sequence INTEGER PRIMARY KEY, round INTEGER NOT NULL, cost INTEGER NOT NULL, honest INTEGER NOT NULL,
        charged_at INTEGER NOT NULL, chain BLOB NOT NULL
      );
    )sql",
    R"sql(
      CREATE TABLE stopped (  -- a row: the user has said stop, and no session begins any more
        only_row INTEGER PRIMARY KEY CHECK (only_row = 1)
      );
    )sql",
};

inline constexpr int kVersion = static_cast<int>(kMigrations.size());

}  // namespace chorus::client::schema
