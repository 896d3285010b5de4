# docker build -t annulus . && docker run --rm -v "$PWD:/pictures" annulus generate "a purple house in the snow"

FROM debian:12 AS build
WORKDIR /annulus
COPY scripts/install_dependencies scripts/debian_packages scripts/
RUN scripts/install_dependencies build
COPY . .
RUN cmake --preset release -DANNULUS_TESTS=OFF \
 && cmake --build build/release --target annulus \
 && cmake --install build/release --component runtime --prefix /installed --strip

FROM debian:12-slim
COPY scripts/install_dependencies scripts/debian_packages /tmp/
RUN /tmp/install_dependencies runtime && rm -rf /tmp/install_dependencies /tmp/debian_packages /var/lib/apt/lists/* \
 && useradd --create-home annulus && install -d -o annulus /pictures
COPY --from=build /installed /usr/local
USER annulus
WORKDIR /pictures
ENTRYPOINT ["annulus"]
CMD ["--help"]
