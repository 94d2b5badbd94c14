package rabbitmq

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/entsignal/signalbus/internal/foreign"
)

// broker is what a publisher or a consumer connects to.
type broker struct {
	addr  string // of all nodes, for the log
	nodes []node
}

// newBroker checks the URL and warns of one that sends the password in clear text.
func newBroker(cfg *connectionConfig, url string) (broker, error) {
	uri, err := checkURL(url)
	if err != nil {
		return broker{}, err
	}
	if cfg.tls != nil && uri.Scheme != "amqps" {
		return broker{}, errors.New("rabbitmq: WithTLSConfig needs an amqps URL")
	}
	nodes, err := newNodes(cfg, url, uri)
	if err != nil {
		return broker{}, err
	}
	for _, n := range nodes {
		if uri.Scheme == "amqp" && !n.local {
			cfg.log.Warn("rabbitmq: password and messages go over the network in clear text; use amqps", "address", n.addr)
			break
		}
	}
	return broker{addr: addresses(nodes), nodes: nodes}, nil
}

// dialer connects to one broker. It is a function so that no field of a Publisher or
// a Consumer contains the password.
type dialer func(ctx context.Context) (*amqp.Connection, *socket, error)

func newDialer(cfg *connectionConfig, url string) dialer {
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
func dialError(ctx context.Context, cfg *connectionConfig, err error) error {
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
