package main

// The rows that have a target.
const (
	rowFlushMany1      = "FlushMany, burst 1000, 1 worker"
	rowFlushMany2      = "FlushMany, burst 1000, 2 workers"
	rowFlushManyQuorum = "FlushMany, quorum, 4 workers"
	rowClientCPU       = "client CPU per message, burst 1000"
	rowFlushOrdered    = "FlushOrdered, burst 1000"
	rowGrowth          = "cost per row, last tenth against first, old snapshot held"
	rowMemory          = "peak memory, large backlog against small"
	rowOrdered         = "FlushOrdered by OrderBy, large backlog: µs per row, last tenth against first"
	rowOrderedCost     = "FlushOrdered by OrderBy, large backlog: µs per row"
	rowKeys            = "FlushOrdered by OrderKey, keys of 3 rows: µs per row"
	rowKeysStart       = "FlushOrdered by OrderKey, many keys of 3 rows: ms to the first message"
	rowFlushMemory     = "Flush, peak memory, large backlog against small"
	rowIdleMany        = "FlushMany of an empty table"
	rowIdleOrdered     = "FlushOrdered of an empty table"
	rowIdleMany50      = "FlushMany of 50 empty tables"
	rowIdleOrdered50   = "FlushOrdered of 50 empty tables"
	rowAutoflush32     = "autoflush, 32 writers"
	rowAutoflush1      = "autoflush, 1 writer"
	rowAsync           = "autoflush async, 32 writers"
	rowNotify          = "commits that wake a relay, 32 writers"
	rowTracedAutoflush = "autoflush of traced signals, 32 writers, otelsignal and 1 % sampled, beside without"
	rowTracedFlush     = "FlushMany of traced signals, burst 1000, otelsignal and 1 % sampled, beside without"
	rowOnce            = "inbox, 8 consumers, each message three times"
	rowSQLite          = "SQLite, FlushMany, burst 1000, sender that does nothing"
	rowHookTime        = "hook and collector, µs per entity in a transaction of 10,000"
	rowHookAllocations = "hook and collector, allocations per entity"
)

// target is what the ratio of a row has to be.
type target struct {
	name   string
	value  float64
	better string
}

const (
	higher = "higher"
	lower  = "lower"
)

// targets are all of them, in the order in which they are reported.
func targets() []target {
	return []target{
		{rowFlushMany1, 0.88, higher},
		{rowFlushMany2, 0.95, higher},
		{rowFlushManyQuorum, 0.78, higher},
		{rowClientCPU, 1.1, lower},
		{rowFlushOrdered, 0.78, higher},
		{rowGrowth, 1.2, lower},
		{rowMemory, 1.2, lower},
		{rowOrdered, 1.3, lower},
		{rowOrderedCost, 15, lower},
		{rowKeys, 60, lower},
		{rowKeysStart, 500, lower},
		{rowFlushMemory, 1.3, lower},
		{rowIdleMany, 0.25, lower},
		{rowIdleOrdered, 0.4, lower},
		{rowIdleMany50, 3, lower},
		{rowIdleOrdered50, 3, lower},
		{rowAutoflush32, 0.87, higher},
		{rowAutoflush1, 0.55, higher},
		{rowAsync, 1.1, higher},
		{rowNotify, 0.97, higher},
		{rowTracedAutoflush, 0.97, higher},
		{rowTracedFlush, 0.97, higher},
		{rowOnce, 0.8, higher},
		{rowSQLite, 0.7, higher},
		{rowHookTime, 1, lower},
		{rowHookAllocations, 6, lower},
	}
}

// met reports whether a ratio is as good as the target.
func (t target) met(ratio float64) bool {
	if t.better == lower {
		return ratio <= t.value
	}
	return ratio >= t.value
}
