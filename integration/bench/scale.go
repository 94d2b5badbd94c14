package main

// scale is how much is measured.
type scale struct {
	rounds int
	tries  int // of each window, before the rounds

	messages int // of a flush
	backlog  int // of the flush that is measured longest
	quorum   int // of the flush to a quorum queue, which is faster
	variant  int // of the flush from another database or to another queue
	drained  int // rows of a flush with a sender that does nothing
	small    int // the two backlogs that cost and memory are compared of
	large    int
	commits  int // of 32 writers; one writer does a quarter
	burst    int
	windows  []int // of which the raw broker takes the fastest
}

func fullScale() scale {
	return scale{
		rounds: 5, tries: 2,
		messages: 60_000, backlog: 200_000, quorum: 150_000, variant: 12_000, drained: 100_000,
		small: 10_000, large: 1_000_000, commits: 6_000, burst: 1000, windows: []int{500, 1000, 5000},
	}
}

func quickScale() scale {
	return scale{
		rounds: 3, tries: 1,
		messages: 20_000, backlog: 40_000, quorum: 60_000, variant: 8_000, drained: 40_000,
		small: 10_000, large: 100_000, commits: 2_000, burst: 1000, windows: []int{500, 1000, 5000},
	}
}
