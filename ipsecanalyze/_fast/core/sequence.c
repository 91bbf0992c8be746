#include "sequence.h"

#include <stdlib.h>
#include <string.h>

const int64_t replay_windows[WINDOWS] = {32, 64, 128, 1024, 4096};

enum {
    SETTLE_EVERY = 1024, /* packets between two looks at the number of holes */
    FORWARD_STEP = 32,   /* jumps within these bounds are ordinary loss and reordering */
    BACKWARD_STEP = -64,
    BREAK = 4096,
    BEGINNING = 64, /* counters begin at numbers up to this */
    FORWARD_RESTART = 1 << 30,
    FORWARD_KEPT = 4096,
    HEAD_LEAST = 256,
    HEAD_RISE = 2 * 4096,
    HEAD_MOST = 16384,
};

/* Runs */

static int runs_reserve(struct runs *runs)
{
    if (runs->count < runs->room)
        return 0;
    uint32_t room = runs->room ? runs->room * 2 : 4;
    struct run *grown = realloc(runs->at, room * sizeof *grown);
    if (!grown)
        return -1;
    runs->at = grown;
    runs->room = room;
    return 0;
}

static int runs_insert(struct runs *runs, uint32_t index, int64_t first, int64_t last)
{
    if (runs_reserve(runs))
        return -1;
    memmove(runs->at + index + 1, runs->at + index, (runs->count - index) * sizeof *runs->at);
    runs->at[index] = (struct run){first, last};
    runs->count++;
    return 0;
}

static void runs_remove(struct runs *runs, uint32_t index, uint32_t count)
{
    memmove(runs->at + index, runs->at + index + count, (runs->count - index - count) * sizeof *runs->at);
    runs->count -= count;
}

/* The first run that ends at `number` or above. */
static uint32_t runs_search(const struct runs *runs, int64_t number)
{
    uint32_t low = 0, high = runs->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (runs->at[middle].last < number)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* Put in `first … last`, joining what overlaps or touches. */
static int runs_add(struct runs *runs, int64_t first, int64_t last)
{
    uint32_t low = runs_search(runs, first - 1), high = low;
    while (high < runs->count && runs->at[high].first <= last + 1)
        high++;
    if (low == high)
        return runs_insert(runs, low, first, last);
    struct run *joined = runs->at + low;
    int64_t end = runs->at[high - 1].last;
    joined->first = first < joined->first ? first : joined->first;
    joined->last = last > end ? last : end;
    runs_remove(runs, low + 1, high - low - 1);
    return 0;
}

/* The numbers seen: `older` and above them the `tail` */

static int seen_add(struct sequence *state, int64_t number)
{
    struct run *tail = &state->tail;
    struct runs *older = &state->older;
    if (number > tail->last + 1) {
        if (runs_insert(older, older->count, tail->first, tail->last))
            return -1;
        *tail = (struct run){number, number};
        state->size++;
        return 0;
    }
    if (number >= tail->first)
        return 0;
    if (number == tail->first - 1) {
        tail->first = number;
        state->size++;
        if (older->count && older->at[older->count - 1].last == number - 1)
            tail->first = older->at[--older->count].first;
        return 0;
    }
    uint32_t index = runs_search(older, number);
    if (index < older->count && older->at[index].first <= number)
        return 0;
    state->size++;
    int below = index && older->at[index - 1].last == number - 1;
    int above = index < older->count && older->at[index].first == number + 1;
    if (below && above) {
        older->at[index - 1].last = older->at[index].last;
        runs_remove(older, index, 1);
    } else if (below) {
        older->at[index - 1].last = number;
    } else if (above) {
        older->at[index].first = number;
    } else {
        return runs_insert(older, index, number, number);
    }
    return 0;
}

/* Give up the oldest holes beyond the limit. */
static int settle(struct sequence *state, uint32_t gaps)
{
    state->checkpoint = state->packets - state->packets % SETTLE_EVERY + SETTLE_EVERY;
    struct runs *older = &state->older;
    if (older->count <= gaps)
        return 0;
    if (!state->settled) {
        state->settled = malloc(sizeof *state->settled);
        if (!state->settled)
            return -1;
        *state->settled = (struct settled){INT64_MAX, INT64_MIN, 0, 0, 0};
    }
    struct settled *settled = state->settled;
    uint32_t excess = older->count - gaps;
    for (uint32_t i = 0; i < excess; i++) {
        int64_t first = older->at[i].last + 1;
        int64_t last = (i + 1 < older->count ? older->at[i + 1].first : state->tail.first) - 1;
        uint64_t numbers = (uint64_t)(last - first) + 1;
        settled->lowest = first < settled->lowest ? first : settled->lowest;
        settled->highest = last > settled->highest ? last : settled->highest;
        settled->longest = numbers > settled->longest ? numbers : settled->longest;
        settled->numbers += numbers;
        settled->holes++;
        state->size += numbers;
    }
    if (excess == older->count)
        state->tail.first = older->at[0].first;
    else
        older->at[excess].first = older->at[0].first;
    runs_remove(older, 0, excess);
    return 0;
}

/* Lateness */

static int arrive_late(struct sequence *state, int64_t number)
{
    uint64_t lateness = (uint64_t)(state->maximum - number);
    if (lateness > state->largest)
        state->largest = lateness;
    if (lateness < (uint64_t)replay_windows[0])
        return 0;
    if (!state->outside) {
        state->outside = calloc(WINDOWS, sizeof *state->outside);
        if (!state->outside)
            return -1;
    }
    for (int i = 0; i < WINDOWS; i++)
        state->outside[i] += lateness >= (uint64_t)replay_windows[i];
    return 0;
}

static int head_arrive(struct head *head, int64_t number)
{
    if (head->closed)
        return 0;
    int risen = head->packets >= HEAD_LEAST && head->reach - head->runs.at[0].first > HEAD_RISE;
    if (risen || head->packets >= HEAD_MOST) {
        head->closed = 1;
        return 0;
    }
    struct runs *runs = &head->runs;
    if (runs->count && number == runs->at[runs->count - 1].last + 1)
        runs->at[runs->count - 1].last = number;
    else if (runs_insert(runs, runs->count, number, number))
        return -1;
    if (!head->packets || number > head->reach)
        head->reach = number;
    head->packets++;
    return 0;
}

/* Breaks */

static void undo(struct breaks *breaks, int64_t low, int64_t high)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < breaks->open_count; i++)
        if (breaks->open[i] < low || breaks->open[i] > high)
            breaks->open[kept++] = breaks->open[i];
    breaks->open_count = kept;
}

static void open_break(struct breaks *breaks, int64_t before)
{
    if (breaks->open_count >= sizeof breaks->open / sizeof *breaks->open) {
        breaks->settled++;
        return;
    }
    uint32_t at = breaks->open_count++;
    for (; at && breaks->open[at - 1] > before; at--)
        breaks->open[at] = breaks->open[at - 1];
    breaks->open[at] = before;
}

static int jump(struct sequence *state, int64_t after, int64_t time_ns, uint64_t frame)
{
    struct breaks *breaks = state->breaks;
    if (!breaks) {
        breaks = state->breaks = calloc(1, sizeof *breaks);
        if (!breaks)
            return -1;
        breaks->knows_forward = state->head != NULL;
    }
    int64_t before = state->position, delta = after - before;
    int at_beginning = (uint32_t)after <= BEGINNING;
    int backward = delta < -BREAK || (delta < 0 && at_beginning);
    if (delta > 0) {
        undo(breaks, before + FORWARD_STEP + 1, after + FORWARD_STEP);
        if (breaks->knows_forward) {
            if (runs_add(&breaks->forward, before + FORWARD_STEP + 1, after + FORWARD_STEP))
                return -1;
            if (breaks->forward.count > FORWARD_KEPT)
                breaks->knows_forward = 0;
        }
        breaks->forward_restarts += delta > FORWARD_RESTART && at_beginning;
    } else if (backward) {
        open_break(breaks, before);
    }
    if (backward || delta > BREAK) {
        breaks->count++;
        if (breaks->kept_count < sizeof breaks->kept / sizeof *breaks->kept)
            breaks->kept[breaks->kept_count++] = (struct jump){state->packets, before, after, time_ns, frame};
    }
    return 0;
}

/* The whole */

int sequence_begin(struct sequence *state, uint32_t number, int continuing)
{
    state->first = number;
    state->position = (int64_t)number - 1;
    state->tail = (struct run){number, (int64_t)number - 1};
    state->maximum = state->position;
    state->checkpoint = SETTLE_EVERY;
    if (continuing) {
        state->head = calloc(1, sizeof *state->head);
        if (!state->head)
            return -1;
    }
    return 0;
}

int sequence_take(struct sequence *state, uint32_t wire, int64_t time_ns, uint64_t frame, uint32_t gaps)
{
    int32_t step = (int32_t)(wire - (uint32_t)state->position);
    int64_t number = state->position + step;
    if ((step < BACKWARD_STEP || step > FORWARD_STEP) && jump(state, number, time_ns, frame))
        return -1;
    if (number == state->tail.last + 1) {
        state->tail.last = number;
        state->size++;
    } else if (seen_add(state, number)) {
        return -1;
    }
    if (number > state->maximum) {
        state->maximum = number;
        state->records++;
    } else if (arrive_late(state, number)) {
        return -1;
    }
    if (state->head && head_arrive(state->head, number))
        return -1;
    if (state->settled)
        state->ambiguous += number <= state->settled->highest;
    state->position = number;
    if (++state->packets >= state->checkpoint)
        return settle(state, gaps);
    return 0;
}

uint32_t sequence_room(const struct sequence *state)
{
    if (state->position != state->tail.last || (state->head && !state->head->closed))
        return 0;
    return (uint32_t)(state->checkpoint - state->packets);
}

int sequence_go_on(struct sequence *state, uint64_t count, uint32_t gaps)
{
    state->tail.last += (int64_t)count;
    state->position = state->maximum = state->tail.last;
    state->size += count;
    state->records += count;
    state->packets += count;
    return state->packets >= state->checkpoint ? settle(state, gaps) : 0;
}

void sequence_end(struct sequence *state)
{
    free(state->older.at);
    free(state->outside);
    free(state->settled);
    if (state->breaks)
        free(state->breaks->forward.at);
    free(state->breaks);
    if (state->head)
        free(state->head->runs.at);
    free(state->head);
}
