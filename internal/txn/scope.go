package txn

import (
	"context"
	"sync"
)

// Scope counts the calls that have joined one open transaction. Its methods are
// safe for concurrent use.
type Scope[X any] struct {
	Tx X

	mu     sync.Mutex
	left   *sync.Cond
	joined int
	over   bool
}

// NewScope returns the scope of tx.
func NewScope[X any](tx X) *Scope[X] {
	s := &Scope[X]{Tx: tx}
	s.left = sync.NewCond(&s.mu)
	return s
}

// Join reports whether the transaction is open. If so, its commit waits until Leave
// is called.
func (s *Scope[X]) Join() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over {
		return false
	}
	s.joined++
	return true
}

// Leave ends what Join began.
func (s *Scope[X]) Leave() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.joined--
	s.left.Broadcast()
}

// Close accepts no more calls, and waits until all joined calls have left, so that
// none is committed halfway. It returns early when ctx ends; then the transaction
// is rolled back.
func (s *Scope[X]) Close(ctx context.Context) {
	stop := context.AfterFunc(ctx, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.left.Broadcast()
	})
	defer stop()
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.joined > 0 && ctx.Err() == nil {
		s.left.Wait()
	}
	s.over = true
}

// End accepts no more calls.
func (s *Scope[X]) End() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.over = true
}
