//! A certificate authority, what it issues, and what it takes back.

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose, RevokedCertParams, SanType, SerialNumber,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion};

pub const BOTH: &[&SupportedProtocolVersion] = &[&rustls::version::TLS12, &rustls::version::TLS13];

/// Tests run on 2027-01-15.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pub certificate: CertificateDer<'static>,
    pub pem: String,
}

/// A certificate with its key.
#[derive(Clone)]
pub struct Issued {
    pub pem: String,
    pub key: String,
}

/// What a certificate says; the serial number is the caller's, so that it can be taken back.
#[derive(Clone)]
pub struct Wanted {
    pub names: Vec<SanType>,
    pub subject: Vec<(DnType, &'static str)>,
    pub from: (i32, u8, u8),
    pub until: (i32, u8, u8),
    pub serial: u64,
}

impl Wanted {
    pub fn dns(names: &[&str]) -> Self {
        let name = |name: &&str| SanType::DnsName((*name).try_into().expect("ASCII"));
        Self {
            names: names.iter().map(name).collect(),
            subject: vec![(DnType::CommonName, "somebody")],
            from: (2026, 1, 1),
            until: (2028, 1, 1),
            serial: 1,
        }
    }

    pub fn uri(uri: &str) -> Self {
        Self { names: vec![SanType::URI(uri.try_into().expect("ASCII"))], ..Self::dns(&[]) }
    }

    pub fn until(self, year: i32, month: u8, day: u8) -> Self {
        Self { until: (year, month, day), ..self }
    }

    pub fn serial(self, serial: u64) -> Self {
        Self { serial, ..self }
    }

    fn params(&self) -> CertificateParams {
        let mut params = CertificateParams::default();
        let day = |(year, month, day)| rcgen::date_time_ymd(year, month, day);
        (params.not_before, params.not_after) = (day(self.from), day(self.until));
        params.serial_number = Some(SerialNumber::from(self.serial));
        params.distinguished_name = rcgen::DistinguishedName::new();
        for (kind, value) in &self.subject {
            params.distinguished_name.push(kind.clone(), *value);
        }
        params.subject_alt_names = self.names.clone();
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth, ExtendedKeyUsagePurpose::ServerAuth];
        params
    }

    /// Vouched for by nobody.
    pub fn self_signed(&self) -> Issued {
        let key = KeyPair::generate().expect("a key");
        let made = self.params().self_signed(&key).expect("made");
        Issued { pem: made.pem(), key: key.serialize_pem() }
    }
}

impl Authority {
    pub fn new() -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "an authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages =
            vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign, KeyUsagePurpose::DigitalSignature];
        let key = KeyPair::generate().expect("a key");
        let made = params.self_signed(&key).expect("made");
        Self { certificate: made.der().clone(), pem: made.pem(), issuer: Issuer::new(params, key) }
    }

    pub fn issue(&self, wanted: &Wanted) -> Issued {
        let key = KeyPair::generate().expect("a key");
        let made = wanted.params().signed_by(&key, &self.issuer).expect("issued");
        Issued { pem: made.pem(), key: key.serialize_pem() }
    }

    /// A list of what is taken back, in PEM.
    pub fn revoke(&self, serials: &[u64], next: (i32, u8, u8)) -> String {
        let revoked = |serial: &u64| RevokedCertParams {
            serial_number: SerialNumber::from(*serial),
            revocation_time: rcgen::date_time_ymd(2026, 6, 1),
            reason_code: None,
            invalidity_date: None,
        };
        let list = CertificateRevocationListParams {
            this_update: rcgen::date_time_ymd(2026, 1, 1),
            next_update: rcgen::date_time_ymd(next.0, next.1, next.2),
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: serials.iter().map(revoked).collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        list.signed_by(&self.issuer).expect("signed").pem().expect("PEM")
    }

    /// A client that trusts this authority and shows `own`.
    pub fn client(&self, versions: &[&'static SupportedProtocolVersion], own: Option<&Issued>) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate.clone()).expect("a certificate");
        let builder = ClientConfig::builder_with_protocol_versions(versions).with_root_certificates(roots);
        match own {
            None => builder.with_no_client_auth(),
            Some(own) => builder.with_client_auth_cert(own.chain(), own.private()).expect("they fit"),
        }
    }
}

impl Issued {
    pub fn chain(&self) -> Vec<CertificateDer<'static>> {
        CertificateDer::pem_slice_iter(self.pem.as_bytes()).map(|found| found.expect("PEM")).collect()
    }

    pub fn private(&self) -> PrivateKeyDer<'static> {
        PrivateKeyDer::from_pem_slice(self.key.as_bytes()).expect("PEM")
    }
}

/// An OCSP response in DER (RFC 6960) that nobody signed: `status` 0 is good, 1 revoked.
pub fn ocsp_response(serial: u8, status: u8, from: &str, until: &str) -> Vec<u8> {
    fn der(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
        let content = parts.concat();
        let mut found = vec![tag];
        match content.len() {
            short @ 0..128 => found.push(u8::try_from(short).expect("short")),
            long => {
                found.extend([0x82, u8::try_from(long >> 8).expect("short"), u8::try_from(long & 255).expect("a byte")])
            }
        }
        found.extend(content);
        found
    }
    let sha1 = der(0x30, &[&[6, 5, 0x2B, 0x0E, 3, 2, 0x1A], &[5, 0]]);
    let about = der(0x30, &[&sha1, &der(4, &[&[0; 20]]), &der(4, &[&[0; 20]]), &der(2, &[&[serial]])]);
    let status = if status == 0 { der(0x80, &[]) } else { der(0xA0 | status, &[&der(24, &[from.as_bytes()])]) };
    let time = |text: &str| der(24, &[text.as_bytes()]);
    let answer = der(0x30, &[&about, &status, &time(from), &der(0xA0, &[&time(until)])]);
    let responder = der(0xA2, &[&der(4, &[&[0; 20]])]);
    let data = der(0x30, &[&responder, &time(from), &der(0x30, &[&answer])]);
    let algorithm = der(0x30, &[&[6, 8, 0x2A, 0x86, 0x48, 0xCE, 0x3D, 4, 3, 2]]);
    let basic = der(0x30, &[&data, &algorithm, &der(3, &[&[0, 1]])]);
    let kind = [6, 9, 0x2B, 6, 1, 5, 5, 7, 0x30, 1, 1];
    let bytes = der(0x30, &[&kind, &der(4, &[&basic])]);
    der(0x30, &[&[10, 1, 0], &der(0xA0, &[&bytes])])
}
