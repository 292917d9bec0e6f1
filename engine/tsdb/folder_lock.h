// One server a data folder: a lock on a file in it, which holds the holder's pid.
#ifndef ENGINE_TSDB_FOLDER_LOCK_H
#define ENGINE_TSDB_FOLDER_LOCK_H

#include "io/file.h"

// Locks dir, which exists. ERR_EXISTS: another process has it; e names it and the option. Held
// until the file is closed, or the process ends. Suspends.
err folder_lock(struct file *lock, const char *dir, struct errmsg *e);
// Whether another process has it now, by the lock alone; who, in out (empty: it has not said).
// Suspends.
enum { FOLDER_HOLDER_MAX = 64 };
bool folder_is_held(const char *dir, char out[static FOLDER_HOLDER_MAX]);
void folder_unlock(struct file *lock); // Suspends.

#endif
