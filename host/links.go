package host

import (
	"context"
	"crypto/tls"

	"countersign/host/link"
	"countersign/telemetry"
)

// openLinks prepares both ends of calls between hosts.
func (h *Host) openLinks() {
	h.links = link.NewPool(link.PoolConfig{Trust: h.trust.Bundle, LocalAddr: h.config.Bind, Handshake: h.telemetry.Handshake, Log: h.log})
	h.linked = link.NewServer(link.ServerConfig{Trust: h.trust.Bundle, Replay: h.replay, Find: h.callee, Log: h.log,
		Refused: func(function string, err error) { h.refused(function, telemetry.SideCallee, err) }})
}

// serveLink serves a connection of another host until it ends.
func (in *ingress) serveLink(ctx context.Context, conn *tls.Conn) {
	if err := in.host.linked.Serve(ctx, conn); err != nil {
		in.host.log.Debug("a connection of another host ended", "remote", conn.RemoteAddr().String(), "error", err)
	}
}
