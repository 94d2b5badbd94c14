package txn

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"
)

// Lane orders the transactions of one client that repeatedly lose to each other;
// see the package comment.
type Lane struct {
	mu      sync.Mutex
	open    map[*Contender]struct{} // with a try in progress
	line    []*Contender            // that have lost too often, oldest first
	oldest  int                     // age of the newest
	changed chan struct{}           // closed when one leaves open or line
}

const (
	// lossesForLine is after how many losses a transaction joins the line.
	lossesForLine = 2
	// lanePatience is how long a transaction waits for another one. Then it runs anyway: the
	// function of the other one may have begun it, and would wait for it for ever.
	lanePatience = time.Second
)

// ErrGivesWay is the error of a statement that would conflict with a transaction that has
// lost too often.
var ErrGivesWay = errors.New("entsignal: the transaction gives way to one that was retried more often, and is run again after it")

// NewLane returns the lane of a client.
func NewLane() *Lane {
	return &Lane{open: make(map[*Contender]struct{}), changed: make(chan struct{})}
}

// Contender is one call of Atomic with all its tries.
type Contender struct {
	lane    *Lane
	age     int             // place in line; 0 if it has never been in line
	wants   map[string]bool // rows of the lost tries
	has     map[string]bool // rows that this try has written or locked
	insists bool            // it gives way to no one
}

// NewContender returns a call that has not begun yet.
func (l *Lane) NewContender() *Contender {
	return &Contender{lane: l, wants: make(map[string]bool)}
}

// Begin is called before each try with the number of lost tries. The first tries
// don't wait. The last try gives way to no one. End must be called when the
// database has ended the transaction.
func (c *Contender) Begin(ctx context.Context, losses int, isLast bool) {
	l := c.lane
	l.mu.Lock()
	defer l.mu.Unlock()
	c.has, c.insists = make(map[string]bool), isLast
	if losses >= lossesForLine && len(c.wants) > 0 {
		l.stand(c)
		if !l.wait(ctx, c) {
			l.leave(c)
			c.insists = true
		}
	}
	l.open[c] = struct{}{}
}

// End ends a try.
func (c *Contender) End() {
	l := c.lane
	l.mu.Lock()
	defer l.mu.Unlock()
	for row := range c.has {
		c.wants[row] = true
	}
	delete(l.open, c)
	l.leave(c)
}

// Touch is called before each statement of a try. It returns [ErrGivesWay] if the
// statement would write or lock a row that an earlier contender in line needs.
func (c *Contender) Touch(query string, args []any) error {
	row, ok := rowOf(query, args)
	if !ok {
		return nil
	}
	l := c.lane
	l.mu.Lock()
	defer l.mu.Unlock()
	if c.has[row] {
		return nil
	}
	for _, other := range l.line {
		if other == c || c.insists {
			break
		}
		if other.wants[row] {
			c.wants[row] = true
			return ErrGivesWay
		}
	}
	c.has[row] = true
	return nil
}

// stand puts c into the line, by age.
func (l *Lane) stand(c *Contender) {
	if c.age == 0 {
		l.oldest++
		c.age = l.oldest
	}
	at, _ := slices.BinarySearchFunc(l.line, c.age, func(other *Contender, age int) int { return other.age - age })
	l.line = slices.Insert(l.line, at, c)
}

// leave takes c out of the line, and wakes the others.
func (l *Lane) leave(c *Contender) {
	if len(l.line) == 0 {
		return
	}
	l.line = slices.DeleteFunc(l.line, func(other *Contender) bool { return other == c })
	close(l.changed)
	l.changed = make(chan struct{})
}

// wait waits until no other contender blocks c. It returns false if it has waited
// too long for one, or if ctx has ended.
func (l *Lane) wait(ctx context.Context, c *Contender) bool {
	timer := time.NewTimer(lanePatience)
	defer timer.Stop()
	for first := l.before(c, nil); first != nil; {
		changed := l.changed
		l.mu.Unlock()
		free := true
		select {
		case <-changed:
		case <-timer.C:
			free = false
		case <-ctx.Done():
			free = false
		}
		l.mu.Lock()
		if !free {
			return false
		}
		if next := l.before(c, first); next != first {
			first = next
			timer.Reset(lanePatience)
		}
	}
	return true
}

// before returns a contender that blocks c, or nil: one before it in line, or one
// that is running with one of its rows. It returns last for as long as that one
// blocks c.
func (l *Lane) before(c, last *Contender) *Contender {
	others := slices.Clone(l.line[:slices.Index(l.line, c)])
	others = slices.DeleteFunc(others, func(other *Contender) bool { return !share(other.wants, c.wants) })
	for other := range l.open {
		if share(other.has, c.wants) {
			others = append(others, other)
		}
	}
	switch {
	case len(others) == 0:
		return nil
	case slices.Contains(others, last):
		return last
	default:
		return others[0]
	}
}

func share(a, b map[string]bool) bool {
	if len(a) > len(b) {
		a, b = b, a
	}
	for row := range a {
		if b[row] {
			return true
		}
	}
	return false
}
