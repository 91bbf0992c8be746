/* Records of a file, read and taken here: a thread that scans ahead then never waits for Python. */

#define _POSIX_C_SOURCE 200809L
#define _FILE_OFFSET_BITS 64
#include <errno.h>

#ifdef _WIN32
#include <stdint.h>
#include <stddef.h>
typedef int ssize_t;
typedef int64_t off_t;
/* Python asks for no piece of a file there. */
static ssize_t pread(int fd, void *octets, size_t size, off_t offset)
{
    (void)fd, (void)octets, (void)size, (void)offset;
    return 0;
}
#else
#include <unistd.h>
#endif

#include "octets.h"
#include "scan.h"

enum ending scan_read(struct scan *scan, int fd, struct window *window, uint64_t stop, uint64_t budget)
{
    for (;;) {
        enum ending ending = scan_run(scan, window->octets, window->end, &window->position);
        if (ending != NEEDS_MORE || scan->row_count)
            return ending;
        size_t kept = window->end - window->position;
        memmove(window->octets, window->octets + window->position, kept);
        window->begin += window->position;
        window->position = 0;
        window->end = kept;
        uint64_t offset = window->begin + kept, room = window->size - kept;
        if (room > (stop > offset ? stop - offset : 0))
            room = stop > offset ? stop - offset : 0;
        if (!room)
            return ENDED;
        ssize_t count = pread(fd, window->octets + kept, (size_t)room, (off_t)offset);
        if (count < 0)
            return errno == EINTR ? NEEDS_MORE : READ_FAILED;
        if (!count)
            return ENDED;
        window->end += (size_t)count;
        if ((uint64_t)count >= budget)
            return NEEDS_MORE;
        budget -= (uint64_t)count;
    }
}
