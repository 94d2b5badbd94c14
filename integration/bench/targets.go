package main

// The rows that have a target.
const (
	rowFlushMany1      = "FlushMany, burst 1000, 1 worker"
	rowFlushMany2      = "FlushMany, burst 1000, 2 workers"
	rowFlushManyQuorum = "FlushMany, quorum, 4 workers"
	rowClientCPU       = "client CPU per message, burst 1000"
	rowFlushOrdered    = "FlushOrdered, burst 1000"
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
	}
}

// met reports whether a ratio is as good as the target.
func (t target) met(ratio float64) bool {
	if t.better == lower {
		return ratio <= t.value
	}
	return ratio >= t.value
}
