/*
 * The purge protocol of airflow-provider-chista. README.md says how each part maps to the code, what is left out,
 * and how to check it (check.sh).
 *
 * Bounds: KEYS primary keys, CHANGES transactions of the application, PROOFS proofs (each is a purge batch), RUNS Airflow
 * runs at once, CRASHES crashes of runs and drains together.
 * Variants: SAME_CONTENT lets the application write a content that the key had before; TWIN lets a second task purge by
 * the first proof; ACCIDENT removes a row from the archive once.
 * Faults, each of which the checker refutes: NO_GUARD, LOG_APART, MATCH_BY_KEY, LOG_BEHIND, BLIND_DELETE,
 * POSITION_FIRST, NO_PRESENCE, NO_INTENT, NO_RECOVERY, BY_VERSION, ONE_ENTRY, SEAL_ALL.
 */

#ifndef KEYS
#define KEYS 1
#endif
#ifndef CHANGES
#define CHANGES 3
#endif
#ifndef PROOFS
#define PROOFS 2
#endif
#ifndef RUNS
#define RUNS 1
#endif
#ifndef CRASHES
#define CRASHES 2
#endif

#define LENGTH (2 * (KEYS + CHANGES) + 1)
#define NOTHING 0

/* ---- the source: a commit is one atomic step, and one record of the change stream --------------------------------- */

#define UPSERT 1
#define DELETE 2

byte content[KEYS];           /* of the key's row at the source; NOTHING: no row */
bool logged[PROOFS * KEYS];   /* chista.purge_log at the source */

byte end = 1;                 /* the next transaction's number: offset, and version, of its record */
byte kind[LENGTH];
byte row[LENGTH];             /* the record's key */
byte value[LENGTH];           /* the content that an UPSERT brings */
byte batch[LENGTH];           /* 1 + the batch of the transaction's purge-log entry; 0: it has none */

/* ---- ClickHouse --------------------------------------------------------------------------------------------------- */

byte version[KEYS];           /* the newest version of the key in the archive; 0: none */
byte held[KEYS];              /* its content; a mark of deletion keeps the content */
bool marked[KEYS];            /* whether that version is a mark of deletion */

byte position = 1;            /* recorded position of the table's drain */
byte logs = 1;                /* purge-log entries of transactions before this one are in ClickHouse */

#define WAITING 1
#define PURGES 2
#define APPLIED 3
byte fate[LENGTH];            /* state of each captured delete, by its offset */

bool intent[PROOFS], finished[PROOFS], sealed[PROOFS];    /* the ledger */
byte proven[PROOFS * KEYS];   /* manifest: the proven version, 0: not in it. Its hash is that of value[version] */
#define SKIPPED 1
#define DELETED 2
byte outcome[PROOFS * KEYS];  /* the state table purged */

#define at(p, k) ((p) * KEYS + (k))
#define visible(k) (version[k] && !marked[k])

/* ---- what nobody in the protocol knows: the truth that the properties are about ------------------------------------ */

byte committed[KEYS];         /* content last committed and not deleted by the application; NOTHING: none */
byte latest[KEYS];            /* offset of the application's last UPSERT */
bool purges[LENGTH];          /* whether a DELETE is the purge's */

byte changes, proofs, crashes;
bool proved[PROOFS], abandoned[PROOFS];
byte waiting;                 /* deletes in quarantine */
byte underway;                /* runs between their look at the archive and the delete */
bool accident;

#define on_its_way(k) (latest[k] >= position)
#define safe(k) (committed[k] == NOTHING || content[k] == committed[k] || (visible(k) && held[k] == committed[k]))

/* Promise 1. Where a content may recur, the record that shows it may still be in the stream: README.md, "Found". */
#ifdef SAME_CONTENT
#define kept(k) (safe(k) || on_its_way(k))
#else
#define kept(k) safe(k)
#endif

inline require_nothing_lost() {
  d_step {
    x = 0;
    do
    :: x < KEYS -> assert(kept(x)); x++
    :: else -> break
    od;
    x = 0
  }
}

/* The application has ended, everything is drained and decided: now every proof and every seal must succeed. */
#define calm (changes == CHANGES && position == end && logs == end && !waiting && !accident)

inline commit(k, of_kind, brings, entry) {
  assert(end < LENGTH);
  kind[end] = of_kind; row[end] = k; value[end] = brings; batch[end] = entry;
  end++
}

/* ---- the application ----------------------------------------------------------------------------------------------- */

active proctype Application() {
  byte k, brings, x;
  do
  :: atomic {
       changes < CHANGES -> changes++;
       do :: k < KEYS - 1 -> k++ :: break od;
       if
       :: content[k] != NOTHING ->                            /* DELETE */
          printf("application: delete key %d, @%d\n", k, end);
          content[k] = NOTHING; committed[k] = NOTHING;
          commit(k, DELETE, 0, 0)
       :: true ->                                             /* INSERT, or UPDATE */
#ifdef SAME_CONTENT
          if :: brings = 1 :: brings = 2 fi;
#else
          brings = 1 + changes;
#endif
          printf("application: write key %d, content %d, @%d\n", k, brings, end);
          content[k] = brings; committed[k] = brings; latest[k] = end;
          commit(k, UPSERT, brings, 0)
       fi;
       require_nothing_lost();
       k = 0; brings = 0
     }
  :: changes == CHANGES -> break
  od
}

/* ---- the drain (TableDrain): purge log to the barrier, the table's topic to it, then the waiting deletes ------------ */

/* Killed, and started again. */
#define or_killed if :: true :: atomic { crashes < CRASHES -> crashes++; printf("drain: killed\n"); goto again } fi

inline insert(i) {
  printf("drain: insert @%d\n", i);
  if
  :: kind[i] == UPSERT && i >= version[row[i]] -> version[row[i]] = i; held[row[i]] = value[i]; marked[row[i]] = false
  :: kind[i] == DELETE && !fate[i] -> fate[i] = WAITING; waiting++
  :: else
  fi
}

/* Does ClickHouse have an entry of the purge log for the delete i? */
inline match(i) {
#ifdef MATCH_BY_KEY
  j = 1;
  do
  :: j < logs -> found = found || (batch[j] && row[j] == row[i]); j++
  :: else -> break
  od;
  j = 0
#else
  found = batch[i] && i < logs
#endif
}

/* Was key k deleted by a batch whose entry for it did not come back? */
inline match_later(k) {
  p = 0;
  do
  :: p < PROOFS ->
     if
     :: outcome[at(p, k)] == DELETED ->
        j = 1;
        do
        :: j < logs && !(batch[j] == 1 + p && row[j] == k) -> j++
        :: else -> break
        od;
        found = found || j == logs;
        j = 0
     :: else
     fi;
     p++
  :: else -> break
  od;
  p = 0
}

active proctype Drain() {
  byte barrier, i, j, p, x;
  bool found, decided;
again:
  atomic { barrier = 0; i = 0; found = false; decided = false };
end_idle:
  do
  :: atomic { position < end ->                               /* a micro-batch */
#ifdef POSITION_FIRST
       position++
     };
     or_killed;
     atomic { insert(position - 1)
#else
       insert(position)
#endif
       ; require_nothing_lost()
     };
     or_killed;
#ifndef POSITION_FIRST
     atomic { position++ }                                    /* recorded after the acknowledgement */
#endif
  :: atomic { !barrier && (!decided || logs < end) ->         /* everything that is committed now */
       barrier = end; decided = false;
       printf("drain: barrier @%d\n", end)
#ifndef LOG_BEHIND
       ; logs = end
#endif
     }
  :: atomic { barrier && position >= barrier ->               /* the purge's own: one INSERT ... SELECT */
       i = 1;
       do
       :: i < barrier ->
          if
          :: fate[i] == WAITING ->
             match(i);
             if
             :: found -> printf("drain: delete @%d is the purge's\n", i); assert(purges[i]); fate[i] = PURGES; waiting--
             :: else
             fi;
             found = false
          :: else
          fi;
          i++
       :: else -> break
       od;
       i = 1
     };
     do
     :: atomic { i < barrier && fate[i] == WAITING ->
          match_later(row[i]);
          if
          :: found -> printf("drain: delete @%d is held\n", i); found = false; i++                      /* it stays in quarantine */
          :: else ->                                          /* the row is marked, unless it has a newer version */
             printf("drain: delete @%d is the application's\n", i);
             assert(!purges[i]);
#ifdef BLIND_DELETE
             marked[row[i]] = true;
#else
             if
             :: version[row[i]] && version[row[i]] < i -> version[row[i]] = i; marked[row[i]] = true
             :: else
             fi;
#endif
             require_nothing_lost();
             goto marking
          fi
        }
     :: atomic { i < barrier && fate[i] != WAITING -> i++ }
     :: atomic { i == barrier -> logs = (logs < barrier -> barrier : logs); barrier = 0; i = 0; decided = true } break;
marking:
        or_killed;
        atomic { fate[i] = APPLIED; waiting--; i++ }
     od
  od
}

/* ---- a run in Airflow: proof, purge, seal --------------------------------------------------------------------------- */

/* Killed: the task is tried again from its beginning, or the run is cleared and makes a new proof. */
#define or_restarted \
  if :: true :: atomic { crashes < CRASHES -> crashes++; printf("run: killed with proof %d\n", p); \
      if :: goto purge :: !twin && proofs < PROOFS -> abandoned[p] = true; goto end_proof fi } fi

/* recover: what the source's own log says. */
inline recover(b) {
  k = 0;
  do
  :: k < KEYS ->
     if
#ifdef NO_RECOVERY
     :: false ->
#else
     :: logged[at(b, k)] && proven[at(b, k)] ->
#endif
        outcome[at(b, k)] = DELETED
     :: else
     fi;
     k++
  :: else -> break
  od;
  k = 0
}

inline recover_all() {
  q = 0;
  do
  :: q < PROOFS ->
     if
     :: intent[q] && !sealed[q] -> recover(q)
     :: else
     fi;
     q++
  :: else -> break
  od;
  q = 0
}

/* Has a batch deleted the version v of key k? By the outcomes; and by the deletes that came back, whatever was proven. */
inline find_purged(v) {
  q = 0; found = false;
  do
  :: q < PROOFS -> found = found || (outcome[at(q, k)] == DELETED && proven[at(q, k)] == v); q++
  :: else -> break
  od;
  q = 0
}

inline find_purged_since(v) {
  find_purged(v);
#ifndef BY_VERSION
  i = v + 1;
  do
  :: i < end -> found = found || (row[i] == k && fate[i] == PURGES); i++
  :: else -> break
  od;
  i = 0
#endif
}

/* Seal.run: may the batch be sealed? */
inline look_at_batch(b) {
  found = intent[b] && (finished[b] || abandoned[b]
#ifdef SEAL_ALL
    || b != own
#endif
    );
  k = 0;
  do
  :: k < KEYS ->
     i = 1; entries = 0; matches = 0;
     do
     :: i < end ->
        if
        :: row[i] == k && batch[i] == 1 + b ->
           entries = entries + (i < logs); matches = matches + (fate[i] == PURGES)
        :: else
        fi;
        i++
     :: else -> break
     od;
#ifdef ONE_ENTRY
     found = found && (entries > 0) == (outcome[at(b, k)] == DELETED) && matches == (entries > 0);
#else
     found = found && (entries > 0) == (outcome[at(b, k)] == DELETED) && matches == entries;
#endif
     if
     :: outcome[at(b, k)] == DELETED && version[k] <= proven[at(b, k)] ->
        found = found && visible(k) && held[k] == value[proven[at(b, k)]] && content[k] == NOTHING
     :: else
     fi;
     k++
  :: else -> break
  od;
  k = 0; i = 0; entries = 0; matches = 0
}

proctype Run(bool twin) {
  byte p, own, k, q, i, entries, matches, seen, x;
  bool found, was_calm, bad, extra[KEYS], deleted;
end_proof:
  if
  :: atomic { twin && proved[0] -> goto purge }
  :: atomic { !twin && proofs < PROOFS -> p = proofs; proofs++ }
  fi;

compare:
  atomic { recover_all() };
  atomic {                                                    /* freeze */
    was_calm = calm;
    printf("run: compare for proof %d\n", p);
    do
    :: k < KEYS ->
       find_purged(version[k]);
       proven[at(p, k)] = (visible(k) && !found -> version[k] : 0);
       k++
    :: else -> break
    od;
    k = 0; found = false
  };
  atomic {                                                    /* the source's rows, as one snapshot */
    do
    :: k < KEYS ->
       if
       :: content[k] == NOTHING -> extra[k] = proven[at(p, k)] != 0
       :: else -> bad = bad || !proven[at(p, k)] || value[proven[at(p, k)]] != content[k]
       fi;
       k++
    :: else -> break
    od;
    k = 0
  };
  atomic {                                                    /* extra rows that a purge has deleted meanwhile */
    recover_all();
    do
    :: k < KEYS ->
       if
       :: proven[at(p, k)] ->
          find_purged_since(proven[at(p, k)]);
          bad = bad || (extra[k] && !found);
          proven[at(p, k)] = (found -> 0 : proven[at(p, k)])
       :: else
       fi;
       extra[k] = false; k++
    :: else -> break
    od;
    k = 0; found = false;
    if
    :: bad -> printf("run: proof %d fails\n", p); assert(!was_calm); bad = false; was_calm = false; goto later
    :: else -> printf("run: proof %d stands\n", p); was_calm = false; proved[p] = true
    fi
  };
  goto purge;
later:
  atomic { calm -> goto compare };

purge:
#ifndef NO_INTENT
  atomic { intent[p] = true };
#endif
  atomic { k = 0; deleted = false; if :: sealed[p] -> goto seal :: else fi };
  atomic { recover(p) };
  or_restarted;
  do
  :: atomic { k < KEYS && (!proven[at(p, k)] || outcome[at(p, k)]) -> k++ }
  :: atomic { k < KEYS && proven[at(p, k)] && !outcome[at(p, k)] ->
#ifndef NO_PRESENCE
       if
       :: !visible(k) || version[k] != proven[at(p, k)] -> outcome[at(p, k)] = SKIPPED; goto next_key
       :: else
       fi;
#endif
       underway++
     };
     atomic {                                                 /* guarded delete: one transaction */
       underway--;
       if
#ifdef NO_GUARD
       :: content[k] != NOTHING ->
#else
       :: content[k] == value[proven[at(p, k)]] ->
#endif
          printf("run: batch %d deletes key %d, @%d\n", p, k, end);
          assert(content[k] == value[proven[at(p, k)]]);
          content[k] = NOTHING; deleted = true; purges[end] = true;
#ifdef LOG_APART
          commit(k, DELETE, 0, 0)
#else
          logged[at(p, k)] = true;
          commit(k, DELETE, 0, 1 + p)
#endif
       :: else
       fi;
       require_nothing_lost()
     };
     or_restarted;                                            /* the reply is lost */
#ifdef LOG_APART
     atomic { if :: deleted -> logged[at(p, k)] = true; batch[end - 1] = 1 + p :: else fi };
#endif
     atomic {                                                 /* settle: deleted wins over skipped */
       if
       :: deleted || outcome[at(p, k)] == DELETED -> outcome[at(p, k)] = DELETED
       :: else -> outcome[at(p, k)] = SKIPPED
       fi;
       deleted = false
     };
     or_restarted;
next_key:
     atomic { k++ }
  :: atomic { k == KEYS -> k = 0 } break
  od;
  atomic { finished[p] = true; own = p };
  if :: twin -> goto done :: else fi;
  or_restarted;

seal:
  atomic { if :: !sealed[p] -> recover(p) :: else fi; seen = end };
  atomic {
    if
    :: !sealed[p] ->
       look_at_batch(p);
       if
       :: found -> printf("run: batch %d is sealed\n", p); found = false; seen = 0; sealed[p] = true
       :: else -> printf("run: batch %d cannot be sealed\n", p); assert(!calm || seen != end); seen = 0; goto later_sealed
       fi
    :: else -> seen = 0
    fi
  };
  or_restarted;
  atomic {                                                    /* trim the source's log: only what is recorded */
    do
    :: k < KEYS ->
#ifndef TWIN
       assert(!logged[at(p, k)] || outcome[at(p, k)] == DELETED);
#endif
       logged[at(p, k)] = false; k++
    :: else -> break
    od;
    k = 0
  };

  /* Batches that this run's earlier tries left behind, each sealed alike. */
  atomic {
    do
    :: q < PROOFS && !(q != p && intent[q] && !sealed[q] &&
#ifdef SEAL_ALL
       true
#else
       abandoned[q]
#endif
       ) -> q++
    :: else -> break
    od;
    if
    :: q < PROOFS -> p = q; q = 0; goto seal
    :: else -> q = 0; goto done
    fi
  };
later_sealed:
  atomic { calm -> goto seal };
done:
}

#ifdef ACCIDENT
/* A row disappears from the archive while the source still has it; never between a run's look and its delete. */
active proctype Accident() {
  byte k, x;
end_idle:
  atomic {
    !accident && !underway && visible(0) && content[0] == committed[0] && content[0] != NOTHING ->
    accident = true; version[0] = 0; held[0] = 0; marked[0] = false;
    require_nothing_lost()
  }
}
#endif

init {
  byte k;
  atomic {
    do                                                        /* the connector's snapshot: each key has a row */
    :: k < KEYS -> content[k] = 1; committed[k] = 1; latest[k] = end; commit(k, UPSERT, 1, 0); k++
    :: else -> break
    od;
    k = 0;
    do :: k < RUNS -> run Run(false); k++ :: else -> break od;
#ifdef TWIN
    run Run(true);
#endif
    k = 0
  }
}
