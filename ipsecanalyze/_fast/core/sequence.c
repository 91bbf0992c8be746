#include "sequence.h"

#include <stdlib.h>
#include <string.h>

const int64_t replay_windows[WINDOWS] = {32, 64, 128, 1024, 4096};

/* Packets between two looks at the number of holes. Fuzzing sets it low, to get there with short inputs. */
#ifndef SETTLE_EVERY
#define SETTLE_EVERY 1024
#endif

enum {
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
    } else {
        if (seen_add(state, number))
            return -1;
        if (state->older.count > state->most_holes)
            state->most_holes = state->older.count;
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

/* Merging: as in esp/sequence.py, for a state that is not itself the continuation of another */

static int64_t lowest(const struct sequence *state)
{
    return state->older.count ? state->older.at[0].first : state->tail.first;
}

static int32_t joint(const struct sequence *state, const struct sequence *following)
{
    return (int32_t)(following->first - (uint32_t)state->position);
}

static int64_t shift_of(const struct sequence *state, const struct sequence *following)
{
    return state->position + joint(state, following) - (int64_t)following->first;
}

static int is_jump(int32_t step) { return step < BACKWARD_STEP || step > FORWARD_STEP; }

int sequence_can_merge(const struct sequence *state, const struct sequence *following, uint32_t gaps)
{
    int64_t shift = shift_of(state, following), highest = state->tail.last, low = lowest(following) + shift;
    /* Where one pass would have given up holes, when it would have matters. */
    if (state->settled || following->settled || (uint64_t)state->older.count + following->most_holes + 1 > gaps)
        return 0;
    const struct head *head = following->head;
    if (low <= highest && (!head || (head->closed && head->reach + shift < highest)))
        return 0;
    int32_t step = joint(state, following);
    const struct breaks *mine = state->breaks, *other = following->breaks;
    uint32_t mine_open = mine ? mine->open_count : 0, other_open = other ? other->open_count : 0;
    if ((mine_open || (is_jump(step) && step < 0)) && other && !other->knows_forward)
        return 0;
    uint64_t given_up = (mine ? mine->settled : 0) + (other ? other->settled : 0);
    return !mine && !other && !is_jump(step) ? 1 : !given_up && mine_open + other_open < OPEN_KEPT;
}

/* The lateness of the head's packets where the running maximum before them was `maximum`. */
static int replay(const struct head *head, int64_t shift, struct sequence *into)
{
    for (uint32_t i = 0; i < head->runs.count; i++) {
        for (int64_t n = head->runs.at[i].first + shift; n <= head->runs.at[i].last + shift; n++) {
            if (n > into->maximum) {
                into->maximum = n;
                into->records++;
            } else if (arrive_late(into, n)) {
                return -1;
            }
        }
    }
    return 0;
}

static int merge_lateness(struct sequence *state, const struct sequence *following, int64_t shift)
{
    struct sequence own = {.maximum = INT64_MIN}, shifted = {.maximum = state->tail.last};
    int is_bad = 0;
    if (lowest(following) + shift <= state->tail.last)
        is_bad = replay(following->head, 0, &own) || replay(following->head, shift, &shifted);
    if (!is_bad && !state->outside && (following->outside || own.outside || shifted.outside)) {
        state->outside = calloc(WINDOWS, sizeof *state->outside);
        is_bad = !state->outside;
    }
    if (!is_bad) {
        state->records += following->records - own.records + shifted.records;
        state->largest = following->largest > state->largest ? following->largest : state->largest;
        state->largest = shifted.largest > state->largest ? shifted.largest : state->largest;
        for (int i = 0; state->outside && i < WINDOWS; i++)
            state->outside[i] += (following->outside ? following->outside[i] : 0) -
                                 (own.outside ? own.outside[i] : 0) + (shifted.outside ? shifted.outside[i] : 0);
    }
    free(own.outside);
    free(shifted.outside);
    return is_bad ? -1 : 0;
}

static int merge_breaks(struct sequence *state, const struct sequence *following, int64_t shift, int64_t time_ns,
                        uint64_t frame, uint64_t frames)
{
    const struct breaks *other = following->breaks;
    int32_t step = joint(state, following);
    if (is_jump(step) && jump(state, state->position + step, time_ns, frame))
        return -1;
    if (!other)
        return 0;
    struct breaks *mine = state->breaks;
    if (!mine) {
        mine = state->breaks = calloc(1, sizeof *mine);
        if (!mine)
            return -1;
    }
    for (uint32_t i = 0; other->knows_forward && i < other->forward.count; i++)
        undo(mine, other->forward.at[i].first + shift, other->forward.at[i].last + shift);
    for (uint32_t i = 0; i < other->open_count; i++)
        open_break(mine, other->open[i] + shift);
    mine->forward_restarts += other->forward_restarts;
    mine->count += other->count;
    for (uint32_t i = 0; i < other->kept_count && mine->kept_count < BREAKS_KEPT; i++) {
        struct jump moved = other->kept[i];
        moved.packet += state->packets;
        moved.before += shift;
        moved.after += shift;
        moved.frame += frames;
        mine->kept[mine->kept_count++] = moved;
    }
    return 0;
}

static int merge_seen(struct sequence *state, const struct sequence *following, int64_t shift)
{
    struct runs all = {NULL, 0, 0};
    uint32_t i = 0, j = 0, mine = state->older.count + 1, other = following->older.count + 1;
    all.at = malloc(((size_t)mine + other) * sizeof *all.at);
    if (!all.at)
        return -1;
    all.room = mine + other;
    while (i < mine || j < other) {
        struct run a = i < state->older.count ? state->older.at[i] : state->tail;
        struct run b = j < following->older.count ? following->older.at[j] : following->tail;
        b.first += shift;
        b.last += shift;
        struct run next = j >= other || (i < mine && a.first <= b.first) ? (i++, a) : (j++, b);
        struct run *top = all.count ? all.at + all.count - 1 : NULL;
        if (top && next.first <= top->last + 1)
            top->last = next.last > top->last ? next.last : top->last;
        else
            all.at[all.count++] = next;
    }
    state->size = 0;
    for (uint32_t k = 0; k < all.count; k++)
        state->size += (uint64_t)(all.at[k].last - all.at[k].first) + 1;
    state->tail = all.at[--all.count];
    free(state->older.at);
    state->older = all;
    return 0;
}

int sequence_merge(struct sequence *state, struct sequence *following, int64_t time_ns, uint64_t frame,
                   uint64_t frames, uint32_t gaps)
{
    int64_t shift = shift_of(state, following);
    if (merge_lateness(state, following, shift) ||
        merge_breaks(state, following, shift, time_ns, frame, frames) || merge_seen(state, following, shift))
        return -1;
    state->maximum = state->tail.last;
    state->position = following->position + shift;
    state->packets += following->packets;
    state->ambiguous += following->ambiguous;
    if (following->most_holes > state->most_holes)
        state->most_holes = following->most_holes;
    return settle(state, gaps);
}

void sequence_become_first(struct sequence *state, uint64_t frames)
{
    if (state->head)
        free(state->head->runs.at);
    free(state->head);
    state->head = NULL;
    if (!state->breaks)
        return;
    state->breaks->knows_forward = 0;
    for (uint32_t i = 0; i < state->breaks->kept_count; i++)
        state->breaks->kept[i].frame += frames;
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
