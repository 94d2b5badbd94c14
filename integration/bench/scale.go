package main

import "context"

// scale is how much is measured.
type scale struct {
	rounds int // even, so that both orders of the sides count the same
	tries  int // of each window, before the rounds

	messages int  // of a flush
	backlog  int  // of the flush that is measured longest
	quorum   int  // of the flush to a quorum queue, which is faster
	variant  int  // of the flush from another database or to another queue
	fewer    bool // variants: those of small bodies to classic queues, and of large ones to quorum queues
	drained  int  // rows of a flush with a sender that does nothing
	small    int  // the backlogs that cost and memory are compared of
	middle   int
	large    int
	keys     int // of three rows each
	passes   int // over empty tables
	commits  int // of 32 writers; one writer does a quarter
	traced   int // commits of traced signals: more, because the sides differ by a few percent only
	relayed  int // commits at a rate, of which a relay is told
	burst    int
	windows  []int // of which the raw broker takes the fastest
}

func fullScale() scale {
	return scale{
		rounds: 6, tries: 2,
		messages: 60_000, backlog: 200_000, quorum: 150_000, variant: 60_000, drained: 100_000,
		small: 10_000, middle: 100_000, large: 1_000_000, keys: 100_000, passes: 1_000, commits: 12_000, traced: 20_000, relayed: 2_000, burst: 1000, windows: []int{500, 1000, 5000},
	}
}

func quickScale() scale {
	return scale{
		rounds: 4, tries: 1,
		messages: 20_000, backlog: 40_000, quorum: 60_000, variant: 8_000, fewer: true, drained: 40_000,
		small: 10_000, middle: 50_000, large: 100_000, keys: 30_000, passes: 300, commits: 2_000, traced: 6_000, relayed: 500, burst: 1000, windows: []int{500, 1000, 5000},
	}
}

// quickBroker is how many messages a second a raw broker takes on a machine on
// which the full scale takes fifty minutes at most, and the quick one seven.
const quickBroker = 16_000

// paced returns the scale for a machine on which a raw broker takes that many
// messages a second: on a slow one there is less to do, so that the time stays.
// The large backlog stays too: memory and cost are compared over it.
func (sc scale) paced(perSecond float64) scale {
	share := min(max(perSecond/quickBroker, 0.25), 1)
	for _, n := range []*int{&sc.messages, &sc.backlog, &sc.quorum, &sc.variant, &sc.drained, &sc.commits, &sc.traced} {
		*n = int(float64(*n) * share)
	}
	return sc
}

// pace asks the broker how quick it is, twice, because at first it may be cold.
func (s *stage) pace(ctx context.Context, sc scale) (scale, error) {
	var quickest float64
	for range 2 {
		f, err := s.run(ctx, job{Program: "raw broker", Count: sc.messages / 4, Size: 300, Parallel: 1, Window: 1000})
		if err != nil {
			return sc, err
		}
		quickest = max(quickest, perSecond(f))
	}
	return sc.paced(quickest), nil
}
