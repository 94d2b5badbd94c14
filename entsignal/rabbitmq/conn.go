package rabbitmq

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/entsignal/signalbus/internal/foreign"
)

// dialer connects to one broker. It is a function so that no field of a Publisher
// contains the password.
type dialer func(ctx context.Context) (*amqp.Connection, *socket, error)

func newDialer(cfg *config, url string) dialer {
	return func(ctx context.Context) (*amqp.Connection, *socket, error) {
		ctx, cancel := context.WithTimeout(ctx, cfg.dialTimeout)
		defer cancel()

		var raw *socket
		release := func() bool { return true }
		settings := amqp.Config{
			Heartbeat:       cfg.heartbeat,
			TLSClientConfig: cloneTLS(cfg.tls), // DialConfig writes the server name into it
			Properties:      properties(cfg.connectionName),
			Dial: func(network, addr string) (net.Conn, error) {
				c, err := (&net.Dialer{}).DialContext(ctx, network, addr)
				if err != nil {
					return nil, err
				}
				raw = newSocket(c, cfg.writeTimeout)
				release = context.AfterFunc(ctx, func() { _ = c.Close() })
				return raw, nil
			},
		}
		// The TLS configuration may contain callbacks of the application, which may panic.
		conn, err := foreign.Call(func() (*amqp.Connection, error) { return amqp.DialConfig(url, settings) })
		if inTime := release(); !inTime || err != nil {
			if raw != nil {
				_ = raw.Close()
			}
			return nil, nil, dialError(ctx, cfg, err)
		}
		return conn, raw, nil
	}
}

// dialError reports a timeout as such. amqp091-go would report a connection that
// was closed because of it as something else, such as a wrong password.
func dialError(ctx context.Context, cfg *config, err error) error {
	switch ctx.Err() {
	case nil:
		return fmt.Errorf("connect: %w", wrapBroker(err))
	case context.DeadlineExceeded:
		return fmt.Errorf("connect: no answer within %s", cfg.dialTimeout)
	default:
		return ErrClosed
	}
}

func properties(name string) amqp.Table {
	p := amqp.NewConnectionProperties()
	p.SetClientConnectionName(name)
	return p
}

func cloneTLS(c *tls.Config) *tls.Config {
	if c == nil {
		return nil
	}
	return c.Clone()
}
