package entsignal

import (
	"context"
	"fmt"
	"sync"
)

// lifecycle counts what runs in a bus, so that Close can wait for it.
type lifecycle struct {
	mu      sync.Mutex
	running int
	closing chan struct{} // closed by close
	drained chan struct{} // closed when nothing runs after close
	closed  bool
	over    bool // drained is closed
}

func (l *lifecycle) init() {
	if l.closing == nil {
		l.closing, l.drained = make(chan struct{}), make(chan struct{})
	}
}

// enter counts a flush in. It fails after close.
func (l *lifecycle) enter() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.init()
	if l.closed {
		return ErrClosed
	}
	l.running++
	return nil
}

// join counts in a part of a flush that was let in.
func (l *lifecycle) join() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.running++
}

// leave undoes enter or join.
func (l *lifecycle) leave() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.running--
	l.drain()
}

// drain says so when nothing runs after close. Reads may still come and go
// after that.
func (l *lifecycle) drain() {
	if !l.closed || l.running > 0 || l.over {
		return
	}
	l.over = true
	close(l.drained)
}

// isClosed reports whether close was called.
func (l *lifecycle) isClosed() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.closed
}

// done is closed when flushes should stop.
func (l *lifecycle) done() <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.init()
	return l.closing
}

func (l *lifecycle) close(ctx context.Context) error {
	l.mu.Lock()
	l.init()
	if !l.closed {
		l.closed = true
		close(l.closing)
		l.drain()
	}
	l.mu.Unlock()
	select {
	case <-l.drained:
		return nil
	default:
	}
	select {
	case <-l.drained:
		return nil
	case <-ctx.Done():
		l.mu.Lock()
		defer l.mu.Unlock()
		return fmt.Errorf("entsignal: close: %d flushes still run: %w", l.running, ctx.Err())
	}
}
