package main

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
)

// shop counts what its clients do.
type shop struct {
	next     atomic.Int64
	stopping chan struct{} // closed at the order stopAt
	back     chan struct{} // closed when the broker is back

	mu                    sync.Mutex
	committed, rolledBack map[int]bool // by the id of the order
	slowest               time.Duration
}

func newShop() *shop {
	return &shop{
		stopping:  make(chan struct{}),
		back:      make(chan struct{}),
		committed: make(map[int]bool), rolledBack: make(map[int]bool),
	}
}

// work places orders with a service of its own, until all are placed.
func (s *shop) work(ctx context.Context, customer string) error {
	service, err := open(slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	for n := s.next.Add(1); n <= orders; n = s.next.Add(1) {
		if n == stopAt {
			close(s.stopping)
		}
		if n >= waitAt {
			select {
			case <-s.back:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		if n%10 == 0 {
			err = s.rollBack(ctx, service, customer)
		} else {
			err = s.place(ctx, service, customer, int(n))
		}
		if err != nil {
			return fmt.Errorf("order %d: %w", n, err)
		}
	}
	return service.close()
}

func (s *shop) place(ctx context.Context, service *service, customer string, cents int) error {
	started := time.Now()
	order, err := placeOrder(ctx, service.client, customer, cents)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.committed[order.ID] = true
	s.slowest = max(s.slowest, time.Since(started))
	return nil
}

func (s *shop) rollBack(ctx context.Context, service *service, customer string) error {
	tx, err := service.client.Tx(ctx)
	if err != nil {
		return err
	}
	order, err := recordOrder(ctx, tx, customer, 1)
	if err != nil {
		return err
	}
	s.mu.Lock()
	s.rolledBack[order.ID] = true
	s.mu.Unlock()
	return tx.Rollback()
}
