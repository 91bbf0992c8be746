/* Joining what two pieces of a capture saw: the result is that of one pass over both, or it is not done. */

#include <stdlib.h>

#include "flows.h"

int flows_can_merge(const struct flows *table, const struct flows *following)
{
    if (following->dropped_packets || table->continuing)
        return 0;
    for (uint32_t i = 0; i < following->count; i++) {
        const struct flow *flow = flows_at(following, i);
        int64_t index = flows_find(table, &flow->key);
        if (index >= 0 && !sequence_can_merge(&flows_at(table, (uint32_t)index)->sequence, &flow->sequence, table->gaps))
            return 0;
    }
    return 1;
}

int flows_merge(struct flows *table, struct flows *following, uint64_t frames)
{
    /* Flows move, with their lanes: whoever still counts in the other table must not. */
    following->is_broken = 1;
    for (uint32_t i = 0; i < following->count && !table->is_broken; i++)
        table->is_broken = flows_join(table, flows_at(following, i), frames) != 0;
    return table->is_broken ? -1 : 0;
}
