package signalweb

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/entsignal/signalbus/internal/foreign"
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
	// askAllTime is how long a request about many types may begin further questions. The
	// next request asks the rest.
	askAllTime = askTime
	// maxAsking is how many types one request asks about at a time.
	maxAsking = 4
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

// errNotAsked is why there is no answer while the database is slow.
var errNotAsked = errors.New("not asked yet: the database is slow")

// get returns the answer, and asks if the last one is too old and ctx has not ended.
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
		return c.lastKnown()
	}
	if ctx.Err() != nil {
		return c.lastKnown()
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

// lastKnown returns the last answer, or why there is none.
func (c *cached[T]) lastKnown() answered[T] {
	last := c.last
	if last.at.IsZero() && last.err == nil {
		last.err = errNotAsked
	}
	return last
}

// ask asks for others too, so it goes on when the request that it belongs to ends. A
// driver that panics must neither end the process nor keep the others waiting.
func (c *cached[T]) ask(ctx context.Context, limit time.Duration, ask func(context.Context) (T, error)) (T, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), limit)
	defer cancel()
	return foreign.Call(func() (T, error) { return ask(ctx) })
}

// expire makes the next get ask.
func (c *cached[T]) expire() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.next = time.Time{}
}

// askAll calls ask for 0 to n-1, a few at a time. When askAllTime is over, its context
// ends, so that what remains gets the last answers.
func askAll(ctx context.Context, n int, ask func(ctx context.Context, i int)) {
	ctx, cancel := context.WithTimeout(ctx, askAllTime)
	defer cancel()
	var all sync.WaitGroup
	defer all.Wait()
	free := make(chan struct{}, maxAsking)
	for i := range n {
		free <- struct{}{}
		all.Go(func() {
			defer func() { <-free }()
			ask(ctx, i)
		})
	}
}
