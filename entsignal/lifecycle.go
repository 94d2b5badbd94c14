package entsignal

import (
	"context"
	"fmt"
	"strings"
	"sync"
)

// lifecycle counts what runs in a bus, so that Close can wait for it.
type lifecycle struct {
	mu      sync.Mutex
	flushes int             // of those that were called, autoflushes too
	behind  int             // queries that nobody waits for anymore but Close
	open    context.Context // ends, because of ErrClosed, when flushes should stop
	end     context.CancelCauseFunc
	drained chan struct{} // closed when nothing runs after close
	over    bool          // drained is closed
}

func (l *lifecycle) init() {
	if l.open == nil {
		l.open, l.end = context.WithCancelCause(context.Background())
		l.drained = make(chan struct{})
	}
}

// enter counts a flush in. It fails after close.
func (l *lifecycle) enter() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.init()
	if l.open.Err() != nil {
		return ErrClosed
	}
	l.flushes++
	return nil
}

// leave undoes enter.
func (l *lifecycle) leave() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.flushes--
	l.drain()
}

// leaveBehind counts a query that was left behind, until await returns.
func (l *lifecycle) leaveBehind(await func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.behind++
	go func() {
		await()
		l.mu.Lock()
		defer l.mu.Unlock()
		l.behind--
		l.drain()
	}()
}

// drain says so when nothing runs after close. Reads may still be left behind
// after that.
func (l *lifecycle) drain() {
	if l.open == nil || l.open.Err() == nil || l.flushes+l.behind > 0 || l.over {
		return
	}
	l.over = true
	close(l.drained)
}

// untilClosed returns a context that ends with ctx, and because of ErrClosed
// when flushes should stop.
func (l *lifecycle) untilClosed(ctx context.Context) (context.Context, context.CancelFunc) {
	l.mu.Lock()
	l.init()
	open := l.open
	l.mu.Unlock()
	ctx, end := context.WithCancelCause(ctx)
	stop := context.AfterFunc(open, func() { end(ErrClosed) })
	return ctx, func() {
		stop()
		end(nil)
	}
}

// isClosed reports whether close was called.
func (l *lifecycle) isClosed() bool {
	select {
	case <-l.done():
		return true
	default:
		return false
	}
}

// done is closed when flushes should stop.
func (l *lifecycle) done() <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.init()
	return l.open.Done()
}

func (l *lifecycle) close(ctx context.Context) error {
	l.mu.Lock()
	l.init()
	l.end(ErrClosed)
	l.drain()
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
		return fmt.Errorf("entsignal: close: still running: %s: %w", l.running(), ctx.Err())
	}
}

// running tells what runs.
func (l *lifecycle) running() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var all []string
	for _, some := range []struct {
		n         int
		one, many string
	}{
		{l.flushes, "flush", "flushes"},
		{l.behind, "query that was left behind", "queries that were left behind"},
	} {
		switch some.n {
		case 0:
		case 1:
			all = append(all, "1 "+some.one)
		default:
			all = append(all, fmt.Sprintf("%d %s", some.n, some.many))
		}
	}
	return strings.Join(all, ", ")
}
