# SPDX-License-Identifier: Apache-2.0
# An image of tidegate, tidegate-spoa, tidectl and HAProxy (docs/install-kubernetes.md):
#
#     docker build -t tidegate .
#     docker build -t tidegate --build-arg BASE=haproxy:3.4 .
#
# BASE is any Debian from 12 on. If it has HAProxy, as HAProxy's official image has, that one is
# used; else it is Debian's.
ARG BASE=debian:bookworm-slim

FROM ${BASE} AS build
USER root
WORKDIR /src
COPY scripts/install-deps scripts/
RUN scripts/install-deps build
COPY . .
ENV CFLAGS="-O2 -g0"
RUN scripts/build build --prefix=/usr \
 && make -s -C build install-strip DESTDIR=/out \
 && rm -rf /out/usr/lib /out/usr/share
# The packages of the libraries, whatever this Debian calls them.
RUN ldd /out/usr/bin/* | sed -n 's|.*=> .*/\([^/ ]*\) .*|*/\1|p' | sort -u >libraries \
 && dpkg-query --search $(cat libraries) >owners \
 && cut -d: -f1 owners | sort -u >packages

FROM ${BASE}
USER root
RUN --mount=type=bind,from=build,source=/src/packages,target=/tmp/packages \
    apt-get -qq update \
 && DEBIAN_FRONTEND=noninteractive apt-get -qq install --no-install-recommends \
    $(command -v haproxy >/dev/null || echo haproxy) $(cat /tmp/packages) >/dev/null \
 && apt-get clean && rm -rf /var/lib/apt/lists/* /var/cache/* /var/log/* /var/lib/haproxy \
 && install -d -o 65532 -g 65532 -m 0750 /run/tidegate && install -d /etc/tidegate
COPY --from=build /out/usr/bin/ /usr/bin/
LABEL org.opencontainers.image.title="Tidegate" \
      org.opencontainers.image.description="HAProxy as a Kubernetes Gateway API data plane" \
      org.opencontainers.image.licenses="Apache-2.0"
# Everything is written below here; the root file system may be read-only.
ENV RUNTIME_DIRECTORY=/run/tidegate
# Nobody's: ports below 1024 are open to it in a network namespace of its own.
USER 65532:65532
STOPSIGNAL SIGTERM
ENTRYPOINT ["tidegate"]
CMD ["run", "/etc/tidegate"]
