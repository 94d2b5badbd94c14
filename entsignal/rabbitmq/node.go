package rabbitmq

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"

	amqp "github.com/rabbitmq/amqp091-go"
)

// node is one node of a cluster, or the one broker there is.
type node struct {
	addr  string
	local bool // on this machine
	dial  dialer
}

// newNodes returns the node of the URL, and those of WithAddresses.
func newNodes(cfg *connectionConfig, raw string, uri amqp.URI) ([]node, error) {
	port := strconv.Itoa(uri.Port)
	nodes := []node{{net.JoinHostPort(uri.Host, port), isLocal(uri.Host), newDialer(cfg, raw)}}
	for _, address := range cfg.addresses {
		host, own, err := net.SplitHostPort(address)
		if err != nil { // no port
			host, own = strings.Trim(address, "[]"), port
		}
		if n, err := strconv.Atoi(own); err != nil || n < 1 || n > 65535 || host == "" {
			return nil, errors.New("rabbitmq: WithAddresses: an address has no host, or a port out of range; want host:port, such as b.example.com:5672")
		}
		u, err := url.Parse(raw)
		if err != nil {
			return nil, errors.New("rabbitmq: WithAddresses: the broker URL can't be parsed")
		}
		u.Host = net.JoinHostPort(host, own)
		nodes = append(nodes, node{u.Host, isLocal(host), newDialer(cfg, u.String())})
	}
	return nodes, nil
}

// addresses returns the addresses of nodes, for the log.
func addresses(nodes []node) string {
	all := make([]string, len(nodes))
	for i, n := range nodes {
		all[i] = n.addr
	}
	return strings.Join(all, ", ")
}

// route is the way of one connection to the nodes, from one connection to the next. It
// is used by one goroutine at a time.
type route struct {
	nodes []node
	at    int // the node to begin with
}

// route returns the route of the connection with that number. Several begin at
// different nodes.
func (b broker) route(number int) route { return route{b.nodes, number % len(b.nodes)} }

// dial connects to the first node that answers, and returns its address. If a
// connection was lost it begins with the next node: that of the connection may be there
// and not answer.
func (r *route) dial(ctx context.Context, lost bool) (conn *amqp.Connection, raw *socket, addr string, _ error) {
	if lost {
		r.at = (r.at + 1) % len(r.nodes)
	}
	var all error
	for range r.nodes {
		n := r.nodes[r.at]
		conn, raw, err := n.dial(ctx)
		if err == nil {
			return conn, raw, n.addr, nil
		}
		if len(r.nodes) > 1 {
			err = fmt.Errorf("node %s: %w", n.addr, err)
		}
		all = errors.Join(all, err)
		if ctx.Err() != nil {
			break
		}
		r.at = (r.at + 1) % len(r.nodes)
	}
	return nil, nil, "", all
}
