package rabbitmq

import (
	"context"
	"fmt"
	"strings"

	amqp "github.com/rabbitmq/amqp091-go"
)

// knows reports whether exchange is known to exist.
func (s *session) knows(exchange string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, ok := s.exchanges[exchange]
	return ok
}

func (s *session) remember(exchange string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.exchanges[exchange] = struct{}{}
}

// forget clears the list of known exchanges, because one of them may be gone.
func (s *session) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.exchanges)
}

// checkExchanges fails the messages whose exchange is missing. Publishing to a
// missing exchange closes the channel, and then every unconfirmed message would
// have to be published again. It returns an error if the broker can't be asked.
func (b *batch) checkExchanges(ctx context.Context) error {
	kept := b.todo[:0]
	last := "" // the default exchange always exists
	for i, o := range b.todo {
		if exchange := b.msgs[o.pos].Exchange; exchange != last {
			refused, err := b.checkExchange(ctx, exchange)
			if err != nil {
				b.todo = append(kept, b.todo[i:]...)
				return err
			}
			if refused != nil {
				b.fail(o, refused)
				if b.ordered {
					b.failAll(b.todo[i+1:], errNotTried)
					break
				}
				continue
			}
			last = exchange
		}
		kept = append(kept, o)
	}
	b.todo = kept
	return nil
}

// checkExchange returns in refused why nothing can be published to exchange, and in
// err that the broker can't be asked.
func (b *batch) checkExchange(ctx context.Context, exchange string) (refused, err error) {
	if refused := b.refused[exchange]; refused != nil {
		return refused, nil
	}
	if exchange == "" || b.s.knows(exchange) {
		return nil, nil
	}
	if err := b.reopen(ctx); err != nil {
		return nil, err
	}
	ch := b.ch
	answered, err := b.s.ask(ctx, func() error {
		// The broker looks at the name only.
		return ch.ExchangeDeclarePassive(exchange, amqp.ExchangeDirect, true, false, false, false, nil)
	}, func(error) { b.s.closeChannel(ch) })
	if !answered {
		b.ch = nil
		return nil, fmt.Errorf("look up exchange %s: %w", quote(exchange, maxQuoted), err)
	}
	switch {
	case err == nil:
	case b.s.dead():
		return nil, errLost
	case code(err) == amqp.NotFound:
		refused = wrapBroker(err)
		b.refuse(exchange, refused)
		return refused, nil
	case code(err) == amqp.AccessRefused:
		// The user may be allowed to publish even if it may not look up the exchange.
	default:
		return nil, b.s.wayError(err)
	}
	b.s.remember(exchange)
	return nil, nil
}

// refuse makes the other messages of this call to the same exchange fail without
// asking the broker again.
func (b *batch) refuse(exchange string, err error) {
	if b.refused == nil {
		b.refused = make(map[string]error)
	}
	b.refused[exchange] = err
}

// refusesExchange reports whether a channel exception concerns the whole exchange.
// A permission can also concern a single routing key.
func refusesExchange(err error) bool {
	switch code(err) {
	case amqp.NotFound:
		return true
	case amqp.AccessRefused:
		return !strings.Contains(err.Error(), "access to topic")
	}
	return false
}
