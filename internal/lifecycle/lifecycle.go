// Package lifecycle tracks what runs in a bus, and ends it.
//
//	open ──[Close]──▶ closing: what runs stops soon ──[nothing runs]──▶ drained
//
// Calls are counted with Enter and Leave, and abandoned queries with LeaveBehind.
// Close waits for both.
package lifecycle

import (
	"context"
	"fmt"
	"strings"
	"sync"

	"github.com/entsignal/signalbus/entsignal"
)

// A Lifecycle counts what runs in a bus, so that Close can wait for it. The zero
// value is open. Its methods are safe for concurrent use.
type Lifecycle struct {
	mu      sync.Mutex
	flushes int             // running calls, including autoflushes
	behind  int             // abandoned queries; only Close still waits for them
	open    context.Context // ends with the cause ErrClosed when flushes should stop
	end     context.CancelCauseFunc
	drained chan struct{} // closed when nothing runs after close
	over    bool          // drained is closed
}

func (l *Lifecycle) init() {
	if l.open == nil {
		l.open, l.end = context.WithCancelCause(context.Background())
		l.drained = make(chan struct{})
	}
}

// Enter counts the start of a flush. After Close it returns entsignal.ErrClosed.
func (l *Lifecycle) Enter() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.init()
	if l.open.Err() != nil {
		return entsignal.ErrClosed
	}
	l.flushes++
	return nil
}

// Leave counts the end of a flush.
func (l *Lifecycle) Leave() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.flushes--
	l.drain()
}

// LeaveBehind counts an abandoned query until await returns.
func (l *Lifecycle) LeaveBehind(await func()) {
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

// drain closes drained if nothing runs after Close. Abandoned queries may still be
// added after that.
func (l *Lifecycle) drain() {
	if l.open == nil || l.open.Err() == nil || l.flushes+l.behind > 0 || l.over {
		return
	}
	l.over = true
	close(l.drained)
}

// UntilClosed returns a context that ends with ctx. It also ends, with the cause
// ErrClosed, when flushes should stop.
func (l *Lifecycle) UntilClosed(ctx context.Context) (context.Context, context.CancelFunc) {
	l.mu.Lock()
	l.init()
	open := l.open
	l.mu.Unlock()
	ctx, end := context.WithCancelCause(ctx)
	stop := context.AfterFunc(open, func() { end(entsignal.ErrClosed) })
	return ctx, func() {
		stop()
		end(nil)
	}
}

// IsClosed reports whether Close was called.
func (l *Lifecycle) IsClosed() bool {
	select {
	case <-l.Done():
		return true
	default:
		return false
	}
}

// Done returns a channel that is closed when flushes should stop.
func (l *Lifecycle) Done() <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.init()
	return l.open.Done()
}

// Close makes everything that runs stop, and waits for it until ctx ends. Then the
// error describes what still runs, and wraps the error of ctx.
func (l *Lifecycle) Close(ctx context.Context) error {
	l.mu.Lock()
	l.init()
	l.end(entsignal.ErrClosed)
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

// running describes what runs.
func (l *Lifecycle) running() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var all []string
	for _, some := range []struct {
		n         int
		one, many string
	}{
		{l.flushes, "flush", "flushes"},
		{l.behind, "query that was abandoned", "queries that were abandoned"},
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
