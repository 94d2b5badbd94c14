package rabbitmq

import (
	"net"
	"strconv"

	"github.com/entsignal/signalbus/entsignal"
)

// destination describes where the messages go. addr is that of the node; empty: it isn't
// known yet.
func (p *Publisher) destination(msgs []Message, addr string) entsignal.Destination {
	d := entsignal.Destination{System: "rabbitmq", Operation: "publish", Name: msgs[0].Exchange, RoutingKey: msgs[0].RoutingKey}
	for i := range msgs {
		if msgs[i].Exchange != d.Name {
			d.Name, d.RoutingKey = "", ""
			break
		}
		if msgs[i].RoutingKey != d.RoutingKey {
			d.RoutingKey = ""
		}
	}
	if addr == "" && len(p.broker.nodes) == 1 {
		addr = p.broker.nodes[0].addr
	}
	if host, port, err := net.SplitHostPort(addr); err == nil {
		d.Address = host
		d.Port, _ = strconv.Atoi(port)
	}
	return d
}
