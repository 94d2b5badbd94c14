package rabbitmq

import (
	"context"
	"fmt"
	"time"

	"github.com/entsignal/signalbus/entsignal"
	amqp "github.com/rabbitmq/amqp091-go"
)

// windowBytes ends a window early, so that its bodies can be confirmed in time.
const windowBytes = 16 << 20

// shortBytes is an upper bound for all fields of a message except its headers. They
// share a frame with the headers.
const shortBytes = 2304

// batch is one call of Publish.
type batch struct {
	p       *Publisher
	msgs    []Message
	errs    []error // one for each message, nil once it is sent
	failed  bool
	ordered bool       // publish nothing behind a failure
	todo    []outgoing // neither sent nor failed yet
	refused map[string]error
	// published is called when the last message is written.
	published func()

	link *link
	s    *session
	ch   *channel // nil while the batch has none
	// nacked says that the broker has refused a message on the channel.
	nacked bool
}

// outgoing is a message that may be published.
type outgoing struct {
	pos     int
	size    int // of the headers
	headers amqp.Table
	confirm *amqp.DeferredConfirmation // nil before it is published
	acked   bool
}

func (b *batch) fail(o outgoing, err error) {
	b.errs[o.pos] = &messageError{id: b.msgs[o.pos].MessageID, pos: o.pos, err: err}
	b.failed = true
}

func (b *batch) failAll(out []outgoing, err error) {
	for _, o := range out {
		b.fail(o, err)
	}
}

// prepare validates the messages that have no error yet.
func (b *batch) prepare() {
	b.todo = make([]outgoing, 0, len(b.msgs))
	for i := range b.msgs {
		o := outgoing{pos: i}
		switch {
		case b.errs[i] != nil:
			b.failed = true
		case b.ordered && b.failed:
			b.fail(o, errNotTried)
		default:
			var err error
			if o.headers, o.size, err = b.msgs[i].validate(b.p.cfg.maxBody, b.p.cfg.maxHeader); err != nil {
				b.fail(o, err)
				continue
			}
			b.errs[i] = errNoConfirm
			b.todo = append(b.todo, o)
		}
	}
}

// result returns what Publish returns.
func (b *batch) result() error {
	for _, err := range b.errs {
		if err != nil {
			return &entsignal.BatchError{Errors: b.errs}
		}
	}
	return nil
}

// send publishes the messages in todo. Afterwards each of them is sent or has an
// error.
func (b *batch) send(ctx context.Context) {
	if len(b.todo) == 0 {
		return
	}
	if err := b.start(ctx); err != nil {
		b.failAll(b.todo, err)
		return
	}
	defer b.finish()
	for len(b.todo) > 0 {
		n, open, err := b.round(ctx, b.todo, b.published)
		b.todo = b.todo[n:]
		if err == nil && len(open) > 0 {
			err = b.isolate(ctx, open)
		}
		if err == nil && b.ordered && b.failed {
			err = errNotTried
		}
		if err != nil {
			b.failAll(b.todo, err)
			return
		}
	}
}

// start borrows a channel and fails the messages that would break it.
func (b *batch) start(ctx context.Context) (err error) {
	if b.s, err = b.link.connect(ctx); err != nil {
		return err
	}
	if len(b.p.broker.nodes) > 1 {
		entsignal.SendingTo(ctx, b.p.destination(b.msgs, b.s.addr))
	}
	if err := b.s.blockedError(); err != nil {
		return err
	}
	if b.ch, err = b.s.borrow(ctx); err != nil {
		return err
	}
	b.checkFrames()
	if err = b.checkExchanges(ctx); err == nil {
		err = b.reopen(ctx)
	}
	if err != nil {
		b.finish()
	}
	return err
}

// finish returns the channel, if the batch still has one. It closes one on which the
// broker has refused a message: after a node of the queue had died, RabbitMQ 3.10
// refused everything on the channel from then on, while others to the same node worked.
func (b *batch) finish() {
	switch {
	case b.ch == nil:
		return
	case b.nacked:
		b.s.discard(b.ch)
	default:
		b.s.release(b.ch)
	}
	b.ch = nil
}

// reopen replaces a channel that the broker has closed.
func (b *batch) reopen(ctx context.Context) (err error) {
	if !b.ch.IsClosed() {
		return nil
	}
	b.ch, err = b.s.open(ctx)
	return err
}

// checkFrames fails the messages whose headers don't fit into one frame of this
// connection. Such a frame would end the connection.
func (b *batch) checkFrames() {
	frame := b.s.conn.Config.FrameSize
	if frame <= 0 || b.p.cfg.maxHeader+shortBytes <= frame {
		return
	}
	kept := b.todo[:0]
	for i, o := range b.todo {
		if o.size+shortBytes <= frame {
			kept = append(kept, o)
			continue
		}
		_, _, err := invalid("Headers", tooLong(o.size, frame-shortBytes))
		b.fail(o, err)
		if b.ordered {
			b.failAll(b.todo[i+1:], errNotTried)
			break
		}
	}
	b.todo = kept
}

// round publishes a window of out and waits for its confirms. It returns how many
// messages of out it took. open are those of them that the broker left open when it
// closed the channel with an error. After err nothing else can be published. round
// calls written when all of out is written.
func (b *batch) round(ctx context.Context, out []outgoing, written func()) (n int, open []outgoing, err error) {
	n, err = b.publish(ctx, out)
	if n == len(out) {
		written()
	}
	taken := out[:n]
	waitErr := b.await(ctx, taken)
	open, lost := b.settle(taken)
	if lost != nil {
		return n, nil, lost
	}
	if len(open) == 0 {
		return n, nil, err
	}
	switch {
	case b.s.dead():
		b.failAll(open, errLostConfirm)
		return n, nil, errLost
	case b.ch.IsClosed() && err == nil:
		return n, open, nil
	case b.ch.IsClosed():
		b.failAll(open, fmt.Errorf("%w; may have been stored", err))
		return n, nil, err
	case waitErr == nil:
		b.nacked = true
		b.failAll(open, errNack)
		return n, nil, err
	}
	for _, o := range open {
		if done(o.confirm) {
			b.fail(o, errNack)
		} else {
			b.fail(o, waitErr)
		}
	}
	b.s.discard(b.ch)
	b.ch = nil
	if err == nil {
		err = ctx.Err()
	}
	if err == nil {
		err = entsignal.Unavailable(errNotTried)
	}
	return n, nil, err
}

// publish writes messages until the window is full. It returns how many may have
// reached the broker, and why the rest can't be published.
func (b *batch) publish(ctx context.Context, out []outgoing) (int, error) {
	b.s.raw.hold()
	defer func() {
		if err := b.s.raw.release(); err != nil {
			b.s.fail(err) // what was held is lost
		}
	}()
	bytes, started := 0, time.Now()
	for i := range out {
		if i == window || i > 0 && (bytes >= windowBytes || time.Since(started) > b.p.cfg.answerTimeout) {
			return i, nil
		}
		if err := ctx.Err(); err != nil {
			return i, err
		}
		if err := b.s.blockedError(); err != nil {
			return i, err
		}
		m := &b.msgs[out[i].pos]
		confirm, err := b.ch.PublishWithDeferredConfirm(m.Exchange, m.RoutingKey, !m.AllowUnroutable, false,
			m.publishing(b.p.cfg.appID, out[i].headers))
		out[i].confirm = confirm
		if err != nil {
			if !b.ch.IsClosed() {
				// The write failed, perhaps in the middle of the message.
				b.s.fail(err)
			}
			return i + 1, nil
		}
		bytes += len(m.Body)
	}
	return len(out), nil
}

// await waits for the confirm of each message. amqp091-go releases the waits when
// the channel or the connection ends.
func (b *batch) await(ctx context.Context, out []outgoing) error {
	timeout := b.p.cfg.answerTimeout
	waiting, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	for _, o := range out {
		if o.confirm == nil {
			continue
		}
		if _, err := o.confirm.WaitContext(waiting); err == nil {
			continue
		}
		const may = "may have been stored"
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("%w before the confirm; "+may, err)
		}
		if err := b.s.blockedError(); err != nil {
			return fmt.Errorf("%w; "+may, err)
		}
		return entsignal.Unavailable(fmt.Errorf("no confirm within %s; "+may, timeout))
	}
	return nil
}

// settle fails the messages that were returned, and returns those that are not
// confirmed.
func (b *batch) settle(out []outgoing) (open []outgoing, err error) {
	for i := range out {
		out[i].acked = out[i].confirm != nil && out[i].confirm.Acked()
	}
	// Only now, because a return arrives before its confirm.
	returned := b.ch.drain()
	for _, o := range out {
		switch r := returned.match(&b.msgs[o.pos]); {
		case r != nil:
			b.fail(o, r.error())
		case o.acked:
			b.errs[o.pos] = nil
		default:
			open = append(open, o)
		}
	}
	if returned.unmatched() {
		// We don't know which message was returned, so none counts as sent.
		b.failAll(out, errUnmatched)
		b.s.discard(b.ch)
		b.ch = nil
		return nil, errNotTried
	}
	return open, nil
}

func done(confirm *amqp.DeferredConfirmation) bool {
	if confirm == nil {
		return false
	}
	select {
	case <-confirm.Done():
		return true
	default:
		return false
	}
}
