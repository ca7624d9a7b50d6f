/* Makes a disk whose syncs are quick behave as one whose syncs are not: each fsync and fdatasync waits SYNC_MS first.
 *
 * For LD_PRELOAD, on both sides of a comparison. Built by slow_sync.py (--sync-ms of imap_compare.py and side_by_side.py). */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static void waited(void)
{
    const char *stated = getenv("SYNC_MS");
    long micros = stated ? (long)(atof(stated) * 1000) : 0;
    struct timespec span = {micros / 1000000, micros % 1000000 * 1000};
    if (micros > 0)
        nanosleep(&span, NULL);
}

int fsync(int file)
{
    int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, "fsync");
    waited();
    return real(file);
}

int fdatasync(int file)
{
    int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, "fdatasync");
    waited();
    return real(file);
}
