package server

import (
	"fmt"
	"strconv"
)

// StartRabbitMQ starts a RabbitMQ alone, without TLS. Stop must be called at the end, also
// after an error.
func StartRabbitMQ() (*Servers, error) {
	s := &Servers{names: []string{"rabbitmq"}}
	if err := s.makeDir(); err != nil {
		return s, err
	}
	port, err := freePorts(amqpPorts)
	if err != nil {
		return s, err
	}
	s.AMQP = fmt.Sprintf("amqp://guest:guest@127.0.0.1:%d/", port)
	s.setEnv("ENTSIGNAL_SERVICES_AMQP_PORT=" + strconv.Itoa(port))
	return s, s.start()
}
