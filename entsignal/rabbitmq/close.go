package rabbitmq

import (
	"context"
	"fmt"
)

// Close lets no new message in, waits for the running calls of
// [Publisher.Publish] within ctx, closes its connections and waits for the
// goroutines of the publisher. If ctx ends first it cuts them, so
// that the running calls return, and returns the error of ctx: their messages
// may have been stored. It may be called more than once; each call waits.
func (p *Publisher) Close(ctx context.Context) error {
	p.mu.Lock()
	first := !p.closed
	p.closed = true
	if first && p.running == 0 {
		close(p.idle)
	}
	p.mu.Unlock()
	if !first {
		select {
		case <-p.gone:
			return nil
		case <-ctx.Done():
			return fmt.Errorf("rabbitmq: close: %w", ctx.Err())
		}
	}
	defer close(p.gone)

	err := p.drain(ctx)
	p.end()
	for _, l := range p.links {
		if s := l.session(); s != nil {
			p.tasks.Go(func() { s.close(ctx) })
		}
	}
	p.tasks.Wait()
	return err
}

// drain waits until no call runs. The end of ctx makes them return.
func (p *Publisher) drain(ctx context.Context) error {
	select {
	case <-p.idle:
		return nil
	case <-ctx.Done():
	}
	p.mu.Lock()
	running := p.running
	p.mu.Unlock()
	p.end()
	for _, l := range p.links {
		if s := l.session(); s != nil {
			s.kill()
		}
	}
	<-p.idle
	if running == 0 {
		return nil
	}
	return fmt.Errorf("rabbitmq: close: %d running calls were cut off: %w", running, ctx.Err())
}
