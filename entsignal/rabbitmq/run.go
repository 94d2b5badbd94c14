package rabbitmq

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/internal/backoff"
	amqp "github.com/rabbitmq/amqp091-go"
)

// reconnect has the pauses before a consumer that was lost is started again.
var reconnect = backoff.Doubling{Min: 100 * time.Millisecond, Max: 10 * time.Second, Jitter: 0.5}

// errStopping is why the context of a handler ends before its time.
var errStopping = errors.New("rabbitmq: the consumer stops, and its time for that is over")

// run is one call of Consumer.Run. It has one stream after the other:
//
//	[connect] ──> [consume] ──> deliveries ──> [worker] ──> acknowledged, rejected,
//	    ^             ^             │                       or given back after a pause
//	    │             └── stream ended: pause
//	    └─────────── connection lost: pause
//
// Workers and what is known of failures outlive a stream.
type run struct {
	c   *Consumer
	cfg *consumerConfig
	log *slog.Logger

	stopping <-chan struct{} // closed with the context of Run
	values   context.Context // that of Run, without its end
	work     context.Context // of the handlers
	endWork  context.CancelCauseFunc
	slots    chan struct{} // one token for each running handler
	hand     hand          // of all streams
	memory   memory

	tasks   sync.WaitGroup // every goroutine but those of the deliveries
	route   route
	session *session // the last one; nil before the first
	addr    string   // of the session's node
	down    bool     // it isn't consuming
	code    int      // of the last error that was logged since it is down; -1: none

	interrupted time.Time // when observers were told; zero if they weren't since it was consuming
	panicked    sync.Once // an observer
}

func newRun(ctx context.Context, c *Consumer) *run {
	r := &run{
		c:        c,
		cfg:      c.cfg,
		log:      c.cfg.log.With("queue", c.queue),
		stopping: ctx.Done(),
		route:    c.broker.route(0),
		slots:    make(chan struct{}, c.cfg.workers),
		down:     true, // so that the beginning is logged, however it ends
		code:     -1,
	}
	r.values = context.WithoutCancel(ctx)
	r.work, r.endWork = context.WithCancelCause(r.values)
	return r
}

// serve consumes until ctx ends.
func (r *run) serve(ctx context.Context) error {
	defer r.endWork(nil)
	for pauses := 0; ctx.Err() == nil; pauses++ {
		st, err := r.open(ctx)
		if err == nil {
			r.consuming()
			if err = r.deliver(ctx, st); err == nil {
				return r.finish(st)
			}
			r.retire(st)
			if st.settled.Load() || time.Since(st.began) > reconnect.Max {
				pauses = 0
			}
		}
		if ctx.Err() != nil {
			break
		}
		r.failed(err)
		backoff.Wait(ctx, reconnect.Pause(pauses), nil)
	}
	return r.finish(nil)
}

// open returns a new stream, on a new connection if the last one is dead.
func (r *run) open(ctx context.Context) (*stream, error) {
	if r.session == nil || r.session.dead() {
		conn, raw, addr, err := r.route.dial(ctx, r.session != nil)
		if err != nil {
			return nil, err
		}
		r.addr = addr
		r.session = newSession(conn, raw, addr, &r.cfg.connectionConfig, &r.tasks)
	}
	return r.session.consume(ctx, r.c.queue, r.cfg.prefetch)
}

// consuming tells that all is well, if it wasn't.
func (r *run) consuming() {
	if r.down {
		r.log.Info("rabbitmq: consuming", "address", r.addr)
		e := entsignal.Consuming{Queue: r.c.queue}
		if !r.interrupted.IsZero() {
			e.After = time.Since(r.interrupted)
		}
		r.observe(e)
	}
	r.down, r.code, r.interrupted = false, -1, time.Time{}
}

// failed logs what is wrong, once for each reason of an outage. That a connection is
// lost was logged by its session.
func (r *run) failed(err error) {
	if code := reason(err); !errors.Is(err, errLost) && (!r.down || code != r.code) {
		r.log.Warn("rabbitmq: not consuming, going to try again", "address", r.c.broker.addr, "error", err)
		r.code = code
	}
	if r.down = true; r.interrupted.IsZero() {
		r.interrupted = time.Now()
		r.observe(entsignal.Interrupted{Queue: r.c.queue, Err: err})
	}
}

// reason returns by what outages are told apart: the broker's code, or 0 for whatever
// happens to the network.
func reason(err error) int {
	switch code := code(err); code {
	case amqp.FrameError, amqp.ChannelError: // amqp091-go's own
		return 0
	default:
		return code
	}
}

// deliver gives the deliveries of a stream to workers. It returns nil when ctx has
// ended, and else why the stream has.
func (r *run) deliver(ctx context.Context, st *stream) error {
	for {
		select {
		case <-ctx.Done():
			st.stop()
			return nil
		case d, ok := <-st.deliveries:
			if !ok {
				return st.ended()
			}
			select {
			case r.slots <- struct{}{}:
				st.hand.take()
				r.hand.take()
				go r.handle(st, &d)
			case <-st.gone:
			case <-ctx.Done():
				st.stop(d)
				return nil
			}
		}
	}
}

// retire closes a stream that has ended when its deliveries are settled. Others may
// follow before.
func (r *run) retire(st *stream) {
	if st.isGone() {
		return
	}
	r.tasks.Go(func() {
		select {
		case <-st.hand.emptied():
			st.close()
		case <-st.gone:
		}
	})
}

// finish waits for the handlers, then closes the connection. st is the stream that was
// open at the end, or nil.
func (r *run) finish(st *stream) error {
	left := r.await()
	if st != nil {
		st.close()
	}
	if r.session != nil {
		r.session.close(context.Background())
	}
	r.tasks.Wait()
	if left == 0 {
		return nil
	}
	return fmt.Errorf("rabbitmq: the consumer of %s has stopped, but %d handlers still run after %s; their messages will be delivered again",
		quote(r.c.queue, 80), left, r.cfg.stopTimeout)
}

// await waits until nothing is in hand, and returns how much still is when the time is
// over.
func (r *run) await() int {
	for _, wait := range []time.Duration{r.cfg.stopTimeout, r.cfg.answerTimeout} {
		timer := time.NewTimer(wait)
		defer timer.Stop()
		select {
		case <-r.hand.emptied():
			return 0
		case <-timer.C:
			r.endWork(errStopping)
		}
	}
	return r.hand.count()
}
