//! `Fn::Cidr`: blocks of equal size out of one block (CloudFormation Template Reference, "Fn::Cidr").

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// `count` blocks with `bits` host bits each, from the start of `block`.
pub(super) fn blocks(block: &str, count: u32, bits: u32) -> Result<Vec<String>, String> {
    let wrong = || format!("Fn::Cidr can not take {count} blocks of {bits} host bits out of '{block}'");
    let (address, prefix) = block.split_once('/').ok_or_else(wrong)?;
    let address: IpAddr = address.parse().map_err(|_| wrong())?;
    let prefix: u32 = prefix.parse().map_err(|_| wrong())?;
    let (width, base) = match address {
        IpAddr::V4(address) => (32, u128::from(address.to_bits())),
        IpAddr::V6(address) => (128, address.to_bits()),
    };
    if prefix > width || bits == 0 || bits > width - prefix || !(1..=256).contains(&count) {
        return Err(wrong());
    }
    let room = width - prefix - bits;
    if room < 32 && u64::from(count) > 1_u64 << room {
        return Err(wrong());
    }
    let host_bits = width - prefix;
    let network = if host_bits >= 128 { 0 } else { base >> host_bits << host_bits };
    Ok((0..u128::from(count))
        .map(|index| {
            let start = if bits >= 128 { 0 } else { network + (index << bits) };
            let address = match address {
                // The start lies within the block, which lies within 32 bits.
                IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::from_bits(u32::try_from(start).unwrap_or(u32::MAX))),
                IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::from_bits(start)),
            };
            format!("{address}/{}", width - bits)
        })
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_follow_each_other() {
        assert_eq!(blocks("10.0.0.0/16", 3, 8).unwrap(), ["10.0.0.0/24", "10.0.1.0/24", "10.0.2.0/24"]);
        assert_eq!(blocks("192.168.1.77/24", 2, 5).unwrap(), ["192.168.1.0/27", "192.168.1.32/27"]);
        assert_eq!(blocks("2001:db8::/56", 2, 64).unwrap(), ["2001:db8::/64", "2001:db8:0:1::/64"]);
        assert_eq!(blocks("10.0.0.0/24", 1, 8).unwrap(), ["10.0.0.0/24"]);
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        for (block, count, bits) in [
            ("10.0.0.0/24", 2, 8),
            ("10.0.0.0/24", 1, 9),
            ("10.0.0.0", 1, 8),
            ("x/8", 1, 8),
            ("10.0.0.0/33", 1, 1),
            ("10.0.0.0/8", 257, 8),
            ("10.0.0.0/8", 1, 0),
        ] {
            assert!(blocks(block, count, bits).is_err(), "{block} {count} {bits}");
        }
    }
}
