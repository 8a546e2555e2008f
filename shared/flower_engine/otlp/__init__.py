"""OTLP: spans as OpenTelemetry's receivers take them, over HTTP or gRPC (``flower-engine[otel]``)."""
