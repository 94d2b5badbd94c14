// Command orders is a small service: it keeps orders in PostgreSQL and tells
// the world about them by RabbitMQ.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends it at once
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

const usage = `usage: orders COMMAND

  setup         create the tables, the exchange, the queue and the binding
  place [-n N]  place N orders, 1 by default
  consume       print the orders that arrive, until interrupted
  flush         send what is pending

DATABASE_URL and AMQP_URL name the PostgreSQL and the RabbitMQ.
`

// run returns the exit code: 0 done, 1 failed, 2 usage.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("orders", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.Usage = func() { fmt.Fprint(stderr, usage) }
	if len(args) == 0 {
		flags.Usage()
		return 2
	}
	command, args := args[0], args[1:]
	switch command {
	case "help", "-h", "-help", "--help":
		fmt.Fprint(stdout, usage)
		return 0
	}
	count := 1
	if command == "place" {
		flags.IntVar(&count, "n", 1, "how many orders")
	}
	if err := flags.Parse(args); err != nil {
		return 2
	}
	if flags.NArg() > 0 || count < 1 {
		flags.Usage()
		return 2
	}

	log := slog.New(slog.NewTextHandler(stderr, nil))
	var err error
	switch command {
	case "setup":
		err = withService(log, func(s *service) error { return setup(ctx, s, stdout) })
	case "place":
		err = withService(log, func(s *service) error { return place(ctx, s, count, stdout) })
	case "consume":
		err = consume(ctx, log, stdout)
	case "flush":
		err = withService(log, func(s *service) error { return flush(ctx, s, stdout) })
	default:
		flags.Usage()
		return 2
	}
	if err != nil {
		fmt.Fprintln(stderr, "orders:", err)
		return 1
	}
	return 0
}
