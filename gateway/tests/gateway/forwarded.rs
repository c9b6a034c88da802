use gateway::GatewayConfig;

use crate::{
    clients::raw,
    fakes::{CART, cart, config, text},
};

/// What the guest sees of a client that says all that a proxy might.
async fn seen(config: GatewayConfig, more: &str) -> Vec<String> {
    let running = cart(config, &[1], |_, request| async move {
        let told = |name: &str| name.starts_with("x-forwarded-") || ["forwarded", "x-real-ip"].contains(&name);
        // As a guest reads them that cannot tell dashes and underscores apart.
        let headers = request.headers().iter().filter(|(name, _)| told(&name.as_str().replace('_', "-")));
        let mut lines: Vec<_> = headers.map(|(name, value)| format!("{name}={}", value.to_str().unwrap())).collect();
        lines.sort_unstable();
        text(lines.join("\n"))
    })
    .await;
    let request = format!(
        "GET / HTTP/1.1\r\nhost: {CART}\r\nconnection: close\r\nforwarded: for=192.0.2.1;proto=https\r\n\
         x-forwarded-for: 192.0.2.1\r\nx-forwarded-for: 192.0.2.2\r\nx-forwarded-proto: https\r\n\
         x-forwarded-host: shop.example\r\nx-forwarded-prefix: /admin\r\nx-real-ip: 192.0.2.1\r\n\
         {more}\r\n"
    );
    raw(running.addr, request).await.body.lines().map(str::to_owned).collect()
}

#[tokio::test]
async fn what_a_client_says_of_whom_it_asks_for_is_replaced() {
    let expected = [
        "forwarded=for=127.0.0.1;proto=http",
        "x-forwarded-for=127.0.0.1",
        "x-forwarded-host=cart.shop.localhost",
        "x-forwarded-proto=http",
        "x-real-ip=127.0.0.1",
    ];
    assert_eq!(seen(config(), "").await, expected);
    let disguised = "x_forwarded_for: 192.0.2.1\r\nX-Forwarded_Host: shop.example\r\nx_real_ip: 192.0.2.1\r\n";
    assert_eq!(seen(config(), disguised).await, expected);
    let mut other = config();
    other.trusted_proxies = vec!["10.0.0.0/8".parse().unwrap(), "::/0".parse().unwrap()];
    assert_eq!(seen(other, "").await, expected);
}

#[tokio::test]
async fn what_a_trusted_proxy_says_is_passed_on() {
    let mut config = config();
    config.trusted_proxies = vec!["10.0.0.0/8".parse().unwrap(), "127.0.0.0/8".parse().unwrap()];
    assert_eq!(
        seen(config, "").await,
        [
            "forwarded=for=192.0.2.1;proto=https",
            "x-forwarded-for=192.0.2.1, 192.0.2.2, 127.0.0.1",
            "x-forwarded-host=shop.example",
            "x-forwarded-prefix=/admin",
            "x-forwarded-proto=https",
            "x-real-ip=192.0.2.1",
        ]
    );
}

#[tokio::test]
async fn peers_are_named_and_trusted_by_addresses_of_version_6_too() {
    let mut config = config();
    config.http = "[::1]:0".parse().unwrap();
    let replaced = seen(config.clone(), "").await;
    assert!(replaced.contains(&"x-forwarded-for=::1".to_owned()), "{replaced:?}");
    assert!(replaced.contains(&"forwarded=for=\"[::1]\";proto=http".to_owned()), "{replaced:?}");
    config.trusted_proxies = vec!["::1/128".parse().unwrap()];
    let passed_on = seen(config, "").await;
    assert!(passed_on.contains(&"x-forwarded-for=192.0.2.1, 192.0.2.2, ::1".to_owned()), "{passed_on:?}");
}
