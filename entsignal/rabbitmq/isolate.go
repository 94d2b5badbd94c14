package rabbitmq

import (
	"context"
	"fmt"
)

// isolate publishes the messages that the broker left open when it closed the
// channel, one at a time, so that only the message at fault fails. The others may
// be stored twice, because the channel error doesn't say what became of them. After
// an error nothing else can be published.
func (b *batch) isolate(ctx context.Context, open []outgoing) error {
	b.s.forget()
	for i := range open {
		err := b.alone(ctx, open[i:i+1])
		if err == nil && b.ordered && b.failed {
			err = errNotTried
		}
		if err != nil {
			b.failAll(open[i+1:], fmt.Errorf("%w; may have been stored before", err))
			return err
		}
	}
	return nil
}

// alone publishes one message. After an error no other message can be published.
func (b *batch) alone(ctx context.Context, one []outgoing) error {
	exchange := b.msgs[one[0].pos].Exchange
	refused, err := b.checkExchange(ctx, exchange)
	if err == nil && refused == nil {
		err = b.reopen(ctx)
	}
	if err != nil {
		b.failAll(one, fmt.Errorf("%w; may have been stored before", err))
		return err
	}
	if refused != nil {
		b.failAll(one, refused)
		return nil
	}
	n, open, err := b.round(ctx, one, func() {})
	if n == 0 {
		b.failAll(one, fmt.Errorf("%w; may have been stored before", err))
	}
	if len(open) == 0 {
		return err
	}
	reason := b.s.exception(ctx, b.ch)
	if refusesExchange(reason) {
		b.refuse(exchange, reason)
	}
	b.failAll(one, reason)
	return err
}
