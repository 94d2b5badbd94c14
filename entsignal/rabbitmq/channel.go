package rabbitmq

import (
	"context"
	"fmt"

	"github.com/entsignal/signalbus/entsignal"
	amqp "github.com/rabbitmq/amqp091-go"
)

// window bounds how many messages are unconfirmed on a channel.
const window = 1000

// channel is a channel in confirm mode. Only one call of Publish uses it at a time,
// so the returns on it belong to that call.
type channel struct {
	*amqp.Channel

	// returns has room for more than a window. amqp091-go delivers a return before the
	// confirm of its message, but drops it if the channel is full.
	returns chan amqp.Return
	closed  chan *amqp.Error
}

// borrow returns an unused channel. It waits for one within ctx.
func (s *session) borrow(ctx context.Context) (*channel, error) {
	select {
	case s.slots <- struct{}{}:
	case <-s.done:
		return nil, errLost
	case <-ctx.Done():
		return nil, fmt.Errorf("waiting for a channel: %w", ctx.Err())
	}
	if ch := s.popIdle(); ch != nil {
		return ch, nil
	}
	return s.open(ctx)
}

func (s *session) popIdle() *channel {
	s.mu.Lock()
	defer s.mu.Unlock()
	for n := len(s.idle); n > 0; n = len(s.idle) {
		ch := s.idle[n-1]
		s.idle = s.idle[:n-1]
		if !ch.IsClosed() {
			return ch
		}
	}
	return nil
}

// open opens a channel for the holder of a slot. If it fails, it frees the slot.
func (s *session) open(ctx context.Context) (*channel, error) {
	var ch *channel
	answered, err := s.ask(ctx, func() (err error) {
		ch, err = s.newChannel()
		return err
	}, func(err error) {
		if err != nil {
			s.freeSlot()
			return
		}
		s.release(ch)
	})
	switch {
	case !answered:
		return nil, fmt.Errorf("open a channel: %w", err)
	case err != nil:
		s.freeSlot()
		return nil, s.wayError(fmt.Errorf("open a channel: %w", err))
	}
	return ch, nil
}

func (s *session) newChannel() (*channel, error) {
	ch, err := s.conn.Channel()
	if err != nil {
		return nil, err
	}
	if err := ch.Confirm(false); err != nil {
		_ = ch.Close()
		return nil, err
	}
	return &channel{
		Channel: ch,
		returns: ch.NotifyReturn(make(chan amqp.Return, window+1)),
		closed:  ch.NotifyClose(make(chan *amqp.Error, 1)),
	}, nil
}

// release returns a channel without unconfirmed messages to the pool.
func (s *session) release(ch *channel) {
	if !ch.IsClosed() {
		s.mu.Lock()
		s.idle = append(s.idle, ch)
		s.mu.Unlock()
	}
	s.freeSlot()
}

// discard closes a channel whose confirms nobody waits for any more. Its slot stays
// taken until it is closed, so that the number of channels stays bounded.
func (s *session) discard(ch *channel) {
	s.tasks.Go(func() { s.closeChannel(ch) })
}

func (s *session) closeChannel(ch *channel) {
	_ = s.bounded(ch.Close)
	s.freeSlot()
}

func (s *session) freeSlot() { <-s.slots }

// exception returns why the broker closed the channel. With some codes the message
// itself is at fault.
func (s *session) exception(ctx context.Context, ch *channel) error {
	select {
	case err := <-ch.closed:
		if err == nil {
			return errLostConfirm
		}
		switch err.Code {
		case amqp.PreconditionFailed, amqp.ContentTooLarge:
			return entsignal.Permanent(&brokerError{err})
		}
		return &brokerError{err}
	case <-ctx.Done():
		return ctx.Err()
	case <-s.done:
		return errLostConfirm
	}
}
