package rabbitmq

import (
	"context"
	"fmt"
)

// Close accepts no more messages, waits for running calls of [Publisher.Publish]
// within ctx, and closes the connections. All goroutines of the publisher have
// ended when it returns. If ctx ends first, Close cuts the connections, so that the
// running calls return, and returns the error of ctx; messages of these calls may
// have been stored. Close may be called more than once. Each call waits.
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

// drain waits until no call is running. When ctx ends, it makes the running calls
// return.
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
