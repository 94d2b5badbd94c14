package signalweb

import (
	"context"
	"sync"
	"time"
)

const (
	// freshFor is how long an answer of the database serves all who look.
	freshFor = time.Second
	// restFactor is how many times longer than a question took the database is left
	// alone afterwards, so that a page never takes more than a tenth of its time.
	restFactor = 10
	// askTime is how long a question may take, and askAgainTime after one that failed:
	// nobody should wait for a database that is away.
	askTime      = 1500 * time.Millisecond
	askAgainTime = 250 * time.Millisecond
	// failedRest is how long the database is left alone after a question that failed.
	failedRest = 3 * time.Second
)

// cached is an answer of the database that several requests share. One of them asks;
// the others get the last answer meanwhile.
type cached[T any] struct {
	mu     sync.Mutex
	last   answered[T]
	next   time.Time     // when to ask again
	asking chan struct{} // closed when the question that runs is over; nil: none runs
}

// answered is an answer and its age.
type answered[T any] struct {
	value T
	at    time.Time // when it was asked for; zero: there is no answer yet
	err   error     // of the last question, if it failed
}

// get returns the answer, and asks if the last one is too old.
func (c *cached[T]) get(ctx context.Context, ask func(context.Context) (T, error)) answered[T] {
	c.mu.Lock()
	defer c.mu.Unlock()
	if time.Now().Before(c.next) {
		return c.last
	}
	if c.asking != nil {
		if asking := c.asking; c.last.at.IsZero() {
			c.mu.Unlock()
			select {
			case <-asking:
			case <-ctx.Done():
			}
			c.mu.Lock()
		}
		return c.last
	}
	limit := askTime
	if c.last.err != nil {
		limit = askAgainTime
	}
	asking := make(chan struct{})
	c.asking = asking
	c.mu.Unlock()
	began := time.Now()
	v, err := c.ask(ctx, limit, ask)
	took := time.Since(began)
	c.mu.Lock()
	c.asking = nil
	close(asking)
	if err != nil {
		c.last.err, c.next = err, time.Now().Add(failedRest)
		return c.last
	}
	c.last, c.next = answered[T]{value: v, at: began}, time.Now().Add(max(freshFor, restFactor*took))
	return c.last
}

// ask asks for others too, so it goes on when the request that it belongs to ends.
func (c *cached[T]) ask(ctx context.Context, limit time.Duration, ask func(context.Context) (T, error)) (T, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), limit)
	defer cancel()
	return ask(ctx)
}

// expire makes the next get ask.
func (c *cached[T]) expire() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.next = time.Time{}
}
