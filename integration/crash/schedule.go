package crash

import (
	"hash/fnv"
	"math/rand/v2"
	"time"
)

// schedule decides when faults strike, and which of several victims. One seed
// gives one schedule; what the processes do in between is theirs.
type schedule struct {
	seed uint64
	run  string // its name: each run has a schedule of its own
}

// stream returns the decisions of one cause of faults.
func (s schedule) stream(cause string) *stream {
	h := fnv.New64a()
	_, _ = h.Write([]byte(s.run + " " + cause))
	return &stream{rand.New(rand.NewPCG(s.seed, h.Sum64()))}
}

type stream struct{ *rand.Rand }

// between returns a random duration.
func (s *stream) between(least, most time.Duration) time.Duration {
	return least + time.Duration(s.Int64N(int64(most-least)+1))
}
