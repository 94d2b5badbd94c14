package txn

import (
	"context"
	"time"

	"golang.org/x/sync/semaphore"
)

// Lane lets a transaction that has lost to others again and again run alone
// among those of its client. With a random pause only, one call in some
// hundred was seen to lose nine times to nine others.
type Lane struct{ width *semaphore.Weighted }

const (
	// laneWidth is more transactions than a client ever runs at once.
	laneWidth = 1 << 30
	// lanePatience is how long one transaction waits for others in the lane.
	// Then it runs all the same: a transaction may well be begun by the
	// function of another, for which it would wait for ever.
	lanePatience = time.Second
	// lossesForLane is after how many losses a transaction runs alone.
	lossesForLane = 2
)

// NewLane returns the lane of a client.
func NewLane() *Lane { return &Lane{semaphore.NewWeighted(laneWidth)} }

// Enter waits until a transaction that has lost so often may begin. It
// returns what to call when that has ended.
func (l *Lane) Enter(ctx context.Context, losses int) (leave func()) {
	width := int64(1)
	if losses >= lossesForLane {
		width = laneWidth
	}
	ctx, cancel := context.WithTimeout(ctx, lanePatience)
	defer cancel()
	if l.width.Acquire(ctx, width) != nil {
		return func() {}
	}
	return func() { l.width.Release(width) }
}
